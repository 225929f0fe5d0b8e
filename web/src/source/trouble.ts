// What goes wrong with cameras and files, in words that say what to do.

/** Why there can be no camera here, or null. */
export function noCameras(): string | null {
  if (!window.isSecureContext)
    return (
      `Browsers allow cameras on https:// and on localhost only, and this page came from ${location.origin}. ` +
      "Ask for it by https, or choose a video."
    );
  if (!navigator.mediaDevices?.getUserMedia) return "This browser gives pages no camera. Choose a video instead.";
  return null;
}

export function cameraTrouble(error: unknown): string {
  const name = error instanceof DOMException ? error.name : "";
  switch (name) {
    case "NotAllowedError":
    case "SecurityError":
      return "The browser did not allow the camera. Allow it beside the address of this page, then try again.";
    case "NotFoundError":
    case "OverconstrainedError":
      return "There is no camera, or no longer the one that was chosen. Connect one, or choose a video.";
    case "NotReadableError":
    case "AbortError":
      return "The camera does not answer: another program may be using it. Close that, then try again.";
    default:
      return `The camera could not be opened (${error instanceof Error ? error.message : String(error)}).`;
  }
}

export function videoTrouble(error: MediaError | null, name: string): string {
  switch (error?.code) {
    case MediaError.MEDIA_ERR_NETWORK:
      return `${name} could not be read to its end.`;
    case MediaError.MEDIA_ERR_DECODE:
      return `${name} is damaged: the browser could not decode all of it.`;
    default:
      return `This browser cannot play ${name}. MP4 with H.264 and WebM play nearly everywhere.`;
  }
}
