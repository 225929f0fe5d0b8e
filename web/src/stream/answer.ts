// A network's logits as probabilities.

export interface Likely {
  label: string;
  probability: number;
}

/** Probabilities of logits, each by itself where several classes may be true at once. */
export function probabilities(logits: Float32Array, multiLabel: boolean): Float32Array {
  if (multiLabel) return logits.map((x) => 1 / (1 + Math.exp(-Math.max(-80, Math.min(80, x)))));
  const largest = logits.reduce((a, b) => Math.max(a, b));
  const odds = logits.map((x) => Math.exp(x - largest));
  const sum = odds.reduce((a, b) => a + b, 0);
  return odds.map((x) => x / sum);
}

/** The likeliest labels, likeliest first. */
export function top(labels: readonly string[], chances: Float32Array, count: number): Likely[] {
  const order = Array.from(chances.keys()).sort((a, b) => chances[b]! - chances[a]! || a - b);
  return order.slice(0, count).map((i) => ({ label: labels[i]!, probability: chances[i]! }));
}
