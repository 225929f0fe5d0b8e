// How things are said to people.

/** `arm_wrestling` as "Arm wrestling". */
export function readable(label: string): string {
  const words = label.replaceAll("_", " ").trim().replace(/\bc(c?)w\b/, (_, c: string) => (c ? "counterclockwise" : "clockwise"));
  return words.charAt(0).toUpperCase() + words.slice(1);
}

export function percent(probability: number): string {
  return `${Math.round(100 * probability)} %`;
}

/** Seconds as a clock shows them, such as 1:05. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

export function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
