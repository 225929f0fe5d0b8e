"""Passwords as people have them, and the places where they write them."""

from urllib.parse import quote

from hypothesis import strategies as st

MARK = "§"  # in every part of a password, so that none can be shown in part
passwords = st.lists(st.sampled_from([*"@/:#?%&=;_ +[]\\\"'.,!$*(){}<>|~^`", "1", "%41", "&ch=", "ü"]), max_size=8).map(
    lambda parts: MARK + "".join(f"{part}{MARK}" for part in parts)
)
SHAPES = (
    "rtsp://user:{raw}@cam.local/stream",
    "rtsp://user:{raw}@cam.local:554/a@2x.mp4?x=1",
    "rtsp://user:{quoted}@cam.local/stream",
    "http://:{quoted}@[::1]:80/stream",
    "http://cam.local/v.cgi?usr=admin&pwd={raw}&channel=1",
    "http://cam.local:80/v.cgi?user=admin&password={quoted}&channel=1",
    "rtsp://cam.local:554/user=admin_password={raw}_channel=1_stream=0.sdp?real_stream",
    "rtsp://user:{quoted}/stream",  # the host was forgotten
    "user:{raw}@cam.local/stream",  # or how it begins
    "rtsp:/user:{raw}@cam.local/stream",
    "user:{raw}@rtsp://cam.local/stream",
)


def written(shape: str, password: str) -> str:
    return shape.format(raw=password, quoted=quote(password, safe=""))


def shows(text: str) -> bool:
    return MARK in text or quote(MARK) in text or quote(MARK).lower() in text or "\\xa7" in text
