// The picture, how to choose what it shows, and what is wrong with it.

import { useEffect, useRef, useState } from "preact/hooks";
import { crop } from "../network/pixels";
import type { Transform } from "../network/manifest";
import { cameras, type Chosen } from "../source/player";
import type { Watching } from "../watching";

interface Props {
  watching: Watching;
  transform: Transform | null; // where it is known what part of a picture is seen
  sample: string | null; // address of a clip to try
}

export function Picture({ watching, transform, sample }: Props) {
  const video = useRef<HTMLVideoElement>(null);
  const [dropping, setDropping] = useState(false);
  const [mirrored, setMirrored] = useState(true);
  const [size, setSize] = useState<[number, number] | null>(null);
  useEffect(() => watching.show(video.current), [watching]);

  const { state, chosen } = watching;
  const live = chosen?.kind === "camera";
  const open = (chosen: Chosen) => void watching.open(chosen);
  const openFile = (file: File | undefined) => {
    if (file !== undefined) open({ kind: "video", name: file.name, url: URL.createObjectURL(file) });
  };
  const openSample = async (address: string) => {
    const response = await fetch(address).catch(() => null);
    if (!response?.ok) return watching.failed("The sample could not be loaded.");
    openFile(new File([await response.blob()], "The sample")); // many hosts send files in one piece, without seeking
  };
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setDropping(false);
    openFile(event.dataTransfer?.files[0]);
  };
  const resized = () => {
    const { videoWidth, videoHeight } = video.current ?? { videoWidth: 0, videoHeight: 0 };
    setSize(videoWidth ? [videoWidth, videoHeight] : null);
  };
  const shown = chosen !== null && size !== null;

  return (
    <section class="picture" aria-label="Picture">
      <div
        class={`screen${dropping ? " dropping" : ""}`}
        style={{ aspectRatio: shown ? `${size[0]} / ${size[1]}` : "" }}
        onDragOver={(event) => {
          event.preventDefault();
          setDropping(true);
        }}
        onDragLeave={() => setDropping(false)}
        onDrop={drop}
      >
        <video
          ref={video}
          muted
          playsInline
          class={live && mirrored ? "mirrored" : ""}
          hidden={chosen === null}
          onLoadedMetadata={resized}
          onResize={resized}
          aria-label={live ? "The camera's picture" : "The video"}
        />
        {shown && transform && <Seen transform={transform} size={size} mirrored={live && mirrored} />}
        {chosen === null && (
          <div class="choice">
            <p class="lead">Show it something</p>
            <div class="buttons">
              <button class="primary" onClick={() => open({ kind: "camera", deviceId: null })}>
                Use the camera
              </button>
              <FileButton onFile={openFile} />
              {sample && (
                <button onClick={() => void openSample(sample)}>Play a sample</button>
              )}
            </div>
            <p class="quiet">or drop a video here</p>
          </div>
        )}
        {state === "opening" && <p class="opening">{live ? "Waiting for the camera …" : "Opening …"}</p>}
      </div>
      {watching.trouble && (
        <p class="trouble" role="alert">
          {watching.trouble}
        </p>
      )}
      {chosen !== null && (
        <div class="controls">
          <button onClick={() => watching.stop()}>Stop</button>
          {chosen.kind === "video" && <button onClick={() => void watching.again()}>Play again</button>}
          <button onClick={() => watching.reset()} title="The network forgets what it saw; the next picture is its first">
            Forget the past
          </button>
          {live && <CameraChoice chosen={chosen} open={open} />}
          {live && (
            <label class="check">
              <input type="checkbox" checked={mirrored} onChange={() => setMirrored(!mirrored)} />
              Mirror
            </label>
          )}
        </div>
      )}
    </section>
  );
}

function FileButton({ onFile }: { onFile(file: File | undefined): void }) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <button onClick={() => input.current?.click()}>Choose a video</button>
      <input
        ref={input}
        type="file"
        accept="video/*"
        hidden
        aria-label="A video file"
        onChange={({ currentTarget }) => {
          onFile(currentTarget.files?.[0]);
          currentTarget.value = "";
        }}
      />
    </>
  );
}

function CameraChoice({ chosen, open }: { chosen: Chosen & { kind: "camera" }; open(chosen: Chosen): void }) {
  const [found, setFound] = useState<MediaDeviceInfo[]>([]);
  useEffect(() => {
    const look = () => void cameras().then(setFound);
    look();
    navigator.mediaDevices?.addEventListener("devicechange", look);
    return () => navigator.mediaDevices?.removeEventListener("devicechange", look);
  }, [chosen]);
  if (found.length < 2) return null;
  return (
    <label>
      Camera{" "}
      <select
        value={chosen.deviceId ?? found[0]!.deviceId}
        onChange={({ currentTarget }) => open({ kind: "camera", deviceId: currentTarget.value })}
      >
        {found.map(({ deviceId, label }, i) => (
          <option key={deviceId} value={deviceId}>
            {label || `Camera ${i + 1}`}
          </option>
        ))}
      </select>
    </label>
  );
}

/** The part of the picture that the network looks at. */
function Seen({ transform, size: [width, height], mirrored }: { transform: Transform; size: [number, number]; mirrored: boolean }) {
  const part = crop(width, height, transform);
  const left = mirrored ? width - part.x - part.width : part.x;
  if (part.width > 0.97 * width && part.height > 0.97 * height) return null;
  const share = (value: number, whole: number) => `${(100 * value) / whole}%`;
  return (
    <div
      class="seen"
      title="The network sees this part"
      style={{
        left: share(left, width),
        top: share(part.y, height),
        width: share(part.width, width),
        height: share(part.height, height),
      }}
    />
  );
}
