import { Field } from "../../form/field.js";

export default class extends Field {
  show(_answer, work) {
    const { reference } = work.item.prompt;
    const image = this.section.querySelector("[data-reference]");
    this.section.hidden = !reference;
    if (!reference) return image.removeAttribute("src");
    image.width = reference.width;
    image.height = reference.height;
    image.src = reference.url;
  }
}
