// Files with progress: a visitor on a phone sees megabytes of megabytes instead of a page that hangs.

export type Progress = (what: string, loaded: number, total: number) => void;

/**
 * The bytes at an address.
 * @param what   what is being loaded, for a person
 * @param total  bytes it should have; headers do not tell where a host compresses on the way
 * @throws Error with the address and what the host said
 */
export async function download(url: string, what: string, total: number, progress: Progress): Promise<Uint8Array> {
  let response: Response;
  try {
    response = await fetch(url);
  } catch {
    throw new Error(`${what} could not be loaded: there is no connection to ${new URL(url).host || "the files"}.`);
  }
  if (!response.ok || response.body === null)
    throw new Error(`${what} could not be loaded: the host answered ${response.status} for ${new URL(url).pathname}.`);
  const pieces: Uint8Array[] = [];
  let loaded = 0;
  const reader = response.body.getReader();
  progress(what, 0, total);
  for (;;) {
    const { done, value } = await reader.read().catch(() => {
      throw new Error(`${what} could not be loaded: the connection broke off. Reload the page to try again.`);
    });
    if (done) break;
    pieces.push(value);
    loaded += value.length;
    progress(what, loaded, Math.max(loaded, total));
  }
  const bytes = new Uint8Array(loaded);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/** Unpacks gzip. Some hosts declare `.gz` files as encoded, and browsers have then unpacked them already. */
export async function unpacked(bytes: Uint8Array): Promise<ArrayBuffer> {
  const blob = new Blob([bytes as Uint8Array<ArrayBuffer>]);
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return blob.arrayBuffer();
  return new Response(blob.stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}
