"""Opens a source with FFmpeg (PyAV) and decodes it: files, RTSP over TCP, Video4Linux devices."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import av
from av.codec.context import Flags
from av.container import InputContainer
from av.video.stream import VideoStream

from overt.ingest.errors import SourceError, SourceLost, SourceRefused
from overt.ingest.folder import open_folder
from overt.ingest.picture import (
    MAX_PIXELS,
    OpenedSource,
    OpenOptions,
    Picture,
    SourceInfo,
    is_oversize,
)
from overt.ingest.source import Source, parse_source

# FFmpeg takes text for video (its `tty` format) and playlists for a reason to fetch something else.
FILE_FORMATS = (
    "asf,avi,flv,gif,h264,hevc,ivf,jpeg_pipe,m4v,matroska,mjpeg,mov,mpeg,mpegts,mpegvideo,mxf,obu,ogg,"
    "png_pipe,webm,yuv4mpegpipe"
)
FILE_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": FILE_FORMATS}
# A second is enough to know an H.264 or H.265 stream; the default is five. Not `nobuffer`: it throws away
# what came while the stream was analysed, the first key picture with it.
RTSP_OPTIONS = {"rtsp_transport": "tcp", "analyzeduration": "1000000"}
# Only as Motion JPEG do most devices give 1080p at 25 pictures a second; those without it get the default.
DEVICE_OPTIONS = {"input_format": "mjpeg", "video_size": "1920x1080"}


def probe_source(source: str) -> SourceInfo:
    """Return what `source` holds, before anything starts. Raises SourceRefused, SourceLost.

    A recording is decoded up to its first picture. A camera is only connected to: no picture of it is
    decoded without an order.
    """
    parsed = parse_source(source)
    spoilt: list[str] = []
    with open_source(parsed, OpenOptions(), spoilt.append) as opened:
        if parsed.is_endless or next(opened.pictures, None) is not None:
            return opened.info
    what = (
        "only oversize pictures" if spoilt and set(spoilt) == {"oversize"} else "nothing that can be decoded"
    )
    raise SourceRefused(f"{parsed.shown} holds {what}")


@contextmanager
def open_source(
    source: Source, options: OpenOptions, on_spoilt: Callable[[str], None]
) -> Iterator[OpenedSource]:
    """Open `source` and close it again. Raises SourceRefused, or SourceLost for a camera out of reach.

    `on_spoilt` is told "corrupt" or "oversize" for each picture or packet that can't be decoded.
    """
    if source.kind == "folder":
        with open_folder(source, options, on_spoilt) as opened:
            yield opened
        return
    with _open(source, options) as container:
        stream = _video_stream(container, source)
        _prepare(stream, source, options)
        yield OpenedSource(_info(stream, source), _decode(container, stream, source, on_spoilt))


def _open(source: Source, options: OpenOptions) -> InputContainer:
    if source.kind == "file":
        return _connect(source, options, "file:" + source.address, FILE_OPTIONS)
    if source.kind == "rtsp":
        timeout_us = {"timeout": str(int(options.read_timeout_s * 1e6))}
        return _connect(source, options, source.address, RTSP_OPTIONS | timeout_us)
    try:
        return _connect(source, options, source.address, DEVICE_OPTIONS)
    except SourceError:
        return _connect(source, options, source.address, {})


def _connect(
    source: Source, options: OpenOptions, address: str, ffmpeg_options: Mapping[str, str]
) -> InputContainer:
    try:
        return av.open(
            address,
            mode="r",
            format="v4l2" if source.kind == "device" else None,
            options=dict(ffmpeg_options),
            metadata_errors="ignore",
            timeout=(options.open_timeout_s, options.read_timeout_s) if source.is_endless else None,
        )
    except av.FFmpegError as error:
        # Only FFmpeg's reason: the text of the exception repeats the address, with its password.
        if source.is_endless:
            raise SourceLost(f"{source.shown} can't be opened: {_reason(error)}") from None
        reason = "its format is none of video" if isinstance(error, av.ArgumentError) else error.strerror
        raise SourceRefused(f"{source.shown} is no video that can be read: {reason}") from None


def _reason(error: av.FFmpegError) -> str:
    # PyAV's own interrupt, at the time limit, comes back as "Immediate exit requested".
    return "it sent nothing in time" if isinstance(error, av.ExitError) else error.strerror or "unknown"


def _video_stream(container: InputContainer, source: Source) -> VideoStream:
    if not container.streams.video:
        kinds = sorted({stream.type for stream in container.streams})
        raise SourceRefused(f"{source.shown} holds no video (it holds: {', '.join(kinds) or 'nothing'})")
    return container.streams.video[0]


def _prepare(stream: VideoStream, source: Source, options: OpenOptions) -> None:
    context = stream.codec_context
    if context is None:
        raise SourceRefused(f"{source.shown} is in a codec that can't be decoded here")
    if is_oversize(context.width, context.height):
        raise SourceRefused(f"{source.shown} has {context.width} x {context.height} pixels, too many")
    context.options = {"max_pixels": str(MAX_PIXELS)}
    context.thread_type = "AUTO"
    context.thread_count = options.decode_threads
    if source.is_endless:
        context.flags |= Flags.low_delay


def _info(stream: VideoStream, source: Source) -> SourceInfo:
    rate = stream.average_rate
    return SourceInfo(
        source.shown, stream.codec_context.width, stream.codec_context.height, float(rate) if rate else None
    )


def _decode(
    container: InputContainer, stream: VideoStream, source: Source, on_spoilt: Callable[[str], None]
) -> Iterator[Picture]:
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError as error:
            if source.is_endless:
                raise SourceLost(f"{source.shown} was lost: {_reason(error)}") from None
            # The container is cut short: give out what the decoder still holds.
            on_spoilt("corrupt")
            packet = None
        try:
            # PyAV ends a stream with an empty packet that drains the decoder; after an error it is made up.
            frames = stream.codec_context.decode(packet)
        except av.EOFError:
            return
        except av.FFmpegError:
            on_spoilt("corrupt")
            frames = []
        for frame in frames:
            if frame.is_corrupt:
                on_spoilt("corrupt")
            else:
                yield Picture(frame, _pts_ns(frame))
        if packet is None:
            return


def _pts_ns(frame: av.VideoFrame) -> int | None:
    if frame.pts is None or frame.time_base is None:
        return None
    return frame.pts * frame.time_base.numerator * 1_000_000_000 // frame.time_base.denominator
