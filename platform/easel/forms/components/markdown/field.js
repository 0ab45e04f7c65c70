import { Field } from "../../form/field.js";

// It shows what stands in the page; nothing of it changes with the item.
export default Field;
