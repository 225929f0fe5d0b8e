// For pages of one's own: `import { Recognizer } from "./movinet.js"`.

export { Recognizer, type Prediction } from "./network/recognizer";
export { crop, values } from "./network/pixels";
export { EventDetector } from "./stream/events";
export { Pacer } from "./stream/pacer";
export { probabilities, top } from "./stream/answer";
