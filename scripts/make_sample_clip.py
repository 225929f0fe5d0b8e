"""Render the clip that comes with the package (src/movinet/video/sample.mp4): python scripts/make_sample_clip.py"""

from movinet.data.synthetic.gesture_clips import render_gesture
from movinet.video.encode import encode_video
from movinet.video.sample import LABEL, sample_clip

if __name__ == "__main__":
    clip = render_gesture(LABEL, 1, size=(96, 128), frames=24, fps=5.0)
    encode_video(sample_clip(), clip.frames, 5.0)
    print(f"{sample_clip()}: {sample_clip().stat().st_size} bytes")
