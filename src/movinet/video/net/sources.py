"""What a source of video may make this process do: hosts, formats, protocols, sizes.

A video is data, and data can name other things to open: a text file that says `ffconcat` is a list of files, an HLS
playlist a list of addresses, a redirect or an SDP another host. So formats and protocols are allowed by kind of source:

* a file opens itself and nothing else;
* `http://` and `https://` go through `movinet.video.net.http_io`: redirects and playlists stay at their host;
* `rtsp://` is asked beforehand where it leads (`movinet.video.net.rtsp`);
* other streams (`rtmp://`, `udp://`, …) reach what was written, by that protocol alone.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import ip_address, ip_network


@dataclass(frozen=True)
class Limits:
    """What a source may make this process do.

    Args:
        hosts: Hosts, beside its own, that an address may lead to by redirect or playlist: names or numbers,
            `*.example.com` for all below one, `*` for any. A pattern never leads from public addresses to private ones.
        private_networks: Whether addresses may be in private networks, this machine among them. A service that opens
            addresses from strangers says False; then those of hosts that `hosts` names may, or those of `networks`.
        networks: Where not None, the private addresses that may be reached where `private_networks` is False, as
            `192.168.1.0/24`, whatever the host is called: a name may lead elsewhere tomorrow.
        verify: Whether https servers must show a certificate that is trusted; SSL_CERT_FILE names further ones.
        max_redirects: Redirects in a row that are followed.
        max_pixels: Largest picture that is decoded, width times height.
        max_streams: Tracks of a file that are looked at.
    """

    hosts: tuple[str, ...] = ()
    private_networks: bool = True
    networks: tuple[str, ...] | None = None
    verify: bool = True
    max_redirects: int = 5
    max_pixels: int = 100_000_000
    max_streams: int = 256

    def __post_init__(self) -> None:
        for name in ("max_pixels", "max_streams"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.max_redirects < 0:
            raise ValueError(f"max_redirects must be at least 0, not {self.max_redirects}")
        for network in self.networks or ():
            ip_network(network)  # a ValueError that says what is wrong

    def leads_to(self, host: str) -> bool:
        """Whether a source of another host may lead to this one."""
        return any(fnmatchcase(host.lower(), pattern.lower()) for pattern in self.hosts)

    def names(self, host: str) -> bool:
        """Whether this very host is allowed, not only a pattern that it fits."""
        return host.lower() in {known.lower() for known in self.hosts}

    def may_be_private(self, host: str, number: str) -> bool:
        """Whether this host may be at this private address."""
        if self.private_networks:
            return True
        if self.networks is None:
            return self.names(host)
        ip = ip_address(number.partition("%")[0])
        return any(ip in ip_network(network) for network in self.networks)

    def for_ffmpeg(self) -> dict[str, str]:
        """Options for what opens and what decodes. FFmpeg counts pixels with padding, so it is given leeway."""
        return {"max_pixels": str(2 * self.max_pixels), "max_streams": str(self.max_streams)}


DEFAULT_LIMITS = Limits()
"""The defaults."""

_PICTURES = (
    "image2,apng,avif,bmp_pipe,cri_pipe,dds_pipe,dpx_pipe,exr_pipe,fits,gem_pipe,gif,gif_pipe,hdr_pipe,ico,j2k_pipe,"
    "jpeg_pipe,jpegls_pipe,jpegxl_anim,jpegxl_pipe,jpegxs_pipe,pam_pipe,pbm_pipe,pcx_pipe,pfm_pipe,pgm_pipe,pgmyuv_pipe,"
    "pgx_pipe,phm_pipe,photocd_pipe,pictor_pipe,png_pipe,ppm_pipe,psd_pipe,qdraw_pipe,qoi_pipe,sgi_pipe,sunrast_pipe,"
    "tiff_pipe,vbn_pipe,webp,webp_pipe,xbm_pipe,xpm_pipe,xwd_pipe"
)
_VIDEO = (
    "amv,asf,asf_o,av1,avi,avs2,avs3,cavsvideo,dhav,dirac,dnxhd,dv,evc,film_cpk,flic,flv,gxf,h261,h263,h264,hevc,ipu,"
    "ivf,ivr,kux,live_flv,lmlm4,lvf,m4v,matroska,mjpeg,mjpeg_2000,mov,mp4,mpeg,mpegts,mpegtsraw,mpegvideo,mpjpeg,mv,mxf,"
    "nsv,nut,nuv,obu,ogg,pva,r3d,rawvideo,rm,roq,smjpeg,swf,ty,vc1,vc1test,vivo,vvc,webm,wtv,xmv,yuv4mpegpipe"
)
# Without pictures, so that the answer is "only sound" rather than "not a video".
_SOUND = "aac,ac3,aiff,amr,ape,au,caf,dts,eac3,flac,mp3,tta,w64,wav,wv"
FORMATS = ",".join((_VIDEO, _PICTURES, _SOUND))
"""FFmpeg's names of formats that hold what they show: none of them names other files or addresses."""

STREAMS: Mapping[str, tuple[str, str]] = {
    "rtsp": ("tcp,udp,rtp", "rtsp,asf"),
    "rtsps": ("tls,tcp,udp,rtp", "rtsp,asf"),
    "rtmp": ("rtmp,tcp", FORMATS),
    "rtmps": ("rtmps,tls,tcp", FORMATS),
    "rtp": ("rtp,udp", f"rtp,{FORMATS}"),
    "srt": ("srt", FORMATS),
    "tcp": ("tcp", FORMATS),
    "udp": ("udp", FORMATS),
}
"""Protocols and formats, comma-separated, by how an address begins."""

_LISTS = (
    (rb"ffconcat version", "a list of other files (ffconcat)"),
    (rb"#EXTM3U", "a playlist of other addresses (HLS)"),
    (rb"v=0\s", "a description of a stream elsewhere (SDP)"),
    (rb"(?:<\?xml[^>]*>\s*)?<(?:MPD|SmoothStreamingMedia)\b", "a list of other addresses (DASH or Smooth Streaming)"),
)


def list_in(head: bytes) -> str | None:
    """What a text that names other things to open is, by its first bytes; None for anything else."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return next((what for begins, what in _LISTS if re.match(begins, text)), None)


# In queries, and in the paths of cameras that have their logins there: `user=admin_password=x_channel=1`.
_SECRET = re.compile(
    r"(?i)([\w.-]*(?:user|usr|login|account|pas|pwd|psw|pw|token|secret|key|auth|sig|cred|session|jwt)[\w.-]*=).*"
)
# What may stand behind a secret and tells one camera of a recorder from another.
_HARMLESS = re.compile(
    r"(?i)[&;_](?:ch|chn|channel|channelid|cam|camera|id|stream|streamtype|subtype|type|profile|track|format|codec|fps|"
    r"res|resolution|size|width|height|quality)=[A-Za-z0-9.]*"
)


def without_password(source: object) -> str:
    """The source as it may be shown: of `rtsp://user:password@host/x?token=1` neither the user nor the token, and no
    character that a terminal would obey.

    Passwords are hidden with whatever people put into them unescaped (`/ @ : ? #`): where one may reach further than an
    address's own rules say, everything up to the last `@` is left out.
    """
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(source))
    scheme, found, rest = shown.partition("://")
    if not found:
        return _without_scheme(shown)
    if "@" in scheme:
        scheme = f"***@{scheme.rpartition('@')[2]}"
    authority = re.split(r"[/?#\\]", rest, maxsplit=1)[0]
    login, at, behind = rest.rpartition("@")
    numbered = re.fullmatch(r"\[[^\]@]*\](?::\d{0,5})?", authority)  # [::1]:80
    if at and not numbered and ("@" in authority or ":" in authority or (":" in login and not _SECRET.search(login))):
        # Either may be meant: a login of all that, or an `@` in the path behind a host.
        either = "@" in rest[len(authority) :] and ("@" in authority or not re.search(r":(?!\d{0,5}$)", authority))
        if either and (secret := _SECRET.search(rest, len(authority))) and "@" in secret[0]:
            return f"{scheme}://***{''.join(_HARMLESS.findall(secret[0]))}"
        rest = f"***@{behind}" if either else behind
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    behind = rest[len(host) :]
    # Of half an address, what stands for a port may be a password.
    host = re.sub(r"(^\[[^\]]*\]|^[^:\[]*):(?!\d{0,5}$).*", r"\1:***", host)
    return f"{scheme}://{host}{_without_secrets(behind)}"


def _without_scheme(shown: str) -> str:
    """A file, or an address of which the beginning was forgotten."""
    if re.match(r"(?![A-Za-z]:[/\\])[^/\\@]*:.*@", shown):
        shown = f"***@{shown.rpartition('@')[2]}"
    path, query, asked = shown.partition("?")
    return path + query + _without_secrets(asked)


def _without_secrets(text: str) -> str:
    return _SECRET.sub(lambda found: f"{found[1]}***{''.join(_HARMLESS.findall(found[0]))}", text)
