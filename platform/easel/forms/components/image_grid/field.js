import { Field } from "../../form/field.js";

// The page's tiles show the images (rank/tiles.js).
export default Field;
