// A table of images by options: a row an image, with its letter and its picture.

export function tableOf(candidates, options, label, fill) {
  const table = document.createElement("table");
  table.className = "judged";
  const caption = document.createElement("caption");
  caption.className = "visually-hidden";
  caption.textContent = label;
  const head = document.createElement("tr");
  head.append(cell("th", "Image"), ...options.map((option) => cell("th", option.label || option.value)));
  const top = document.createElement("thead");
  top.append(head);
  const body = document.createElement("tbody");
  for (const candidate of candidates) {
    const row = document.createElement("tr");
    row.dataset.candidate = candidate.id;
    const first = document.createElement("th");
    first.scope = "row";
    const image = new Image();
    image.alt = "";
    image.src = candidate.url;
    const letter = document.createElement("b");
    letter.textContent = candidate.letter;
    first.append(image, letter);
    row.append(first);
    for (const option of options) {
      const place = document.createElement("td");
      place.dataset.option = option.label || option.value;
      fill(place, candidate, option);
      row.append(place);
    }
    body.append(row);
  }
  table.append(caption, top, body);
  return table;
}

function cell(tag, words) {
  const made = document.createElement(tag);
  made.scope = "col";
  made.textContent = words;
  return made;
}
