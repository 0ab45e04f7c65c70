// Whether a condition of a template holds; easel/forms/conditions.py decides the same on the server, and
// tests/easel/forms/conditions.json holds both to one table.

export function isEmpty(answer) {
  if (answer === undefined || answer === null || answer === "") return true;
  return typeof answer === "object" && Object.keys(answer).length === 0;
}

export function holds({ name, op, value }, answers) {
  const answer = answers[name];
  const number = typeof answer === "number";
  switch (op) {
    case "answered":
      return !isEmpty(answer);
    case "empty":
      return isEmpty(answer);
    case "is":
      return answer === value;
    case "is_not":
      return answer !== value;
    case "contains":
      if (Array.isArray(answer)) return answer.includes(value);
      return typeof answer === "string" && typeof value === "string" && answer.toLowerCase().includes(value.toLowerCase());
    case "at_least":
      return number && answer >= value;
    case "at_most":
      return number && answer <= value;
    default:
      throw new Error(`no such comparison: ${op}`);
  }
}
