"""The child process that decodes compressed pixels. It stands alone: it imports nothing of Tomos.

Codecs are large C and C++ libraries, and their input comes from outside: what crashes, runs for
ever or eats memory does so here, under limits of the operating system, and the parent reads on.
Requests come on stdin and answers go to what was stdout: four bytes of length, that many bytes of
JSON, then the payload whose length the JSON tells.
"""

import contextlib
import json
import os
import struct
import sys


def _limit(memory: int) -> None:
    """Bound the address space, where the system can (not Windows): no core files either."""
    try:
        import resource
    except ImportError:
        return
    for what, most in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CORE, 0)):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(what, (most, most))


def _alarm(seconds: float) -> None:
    """End this process after so much processor time, even inside a codec; 0 takes it back."""
    import signal

    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)


def _extended(request: dict, payload: bytes):
    """JPEG extended of 12 bit by GDCM itself: it can, but pydicom does not ask it to."""
    import gdcm
    import numpy
    from pydicom.encaps import generate_frames

    options = request["options"]
    shape = options["rows"], options["columns"], options["samples_per_pixel"]
    kind = gdcm.PhotometricInterpretation
    pictures = []
    for frame in generate_frames(payload, number_of_frames=options["number_of_frames"]):
        fragment = gdcm.Fragment()
        fragment.SetByteStringValue(frame)
        fragments = gdcm.SequenceOfFragments.New()
        fragments.AddFragment(fragment)
        element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
        element.SetValue(fragments.__ref__())
        image = gdcm.Image()
        image.SetNumberOfDimensions(2)
        image.SetDimensions((shape[1], shape[0], 1))
        image.SetDataElement(element)
        image.SetPhotometricInterpretation(
            kind(kind.GetPIType(options["photometric_interpretation"]))
        )
        syntax = gdcm.TransferSyntax
        image.SetTransferSyntax(syntax(syntax.GetTSType(request["syntax"])))
        bits = options["bits_stored"]
        image.SetPixelFormat(
            gdcm.PixelFormat(shape[2], 16, bits, bits - 1, options["pixel_representation"])
        )
        raw = image.GetBuffer().encode("utf-8", "surrogateescape")
        signed = "i" if options["pixel_representation"] else "u"
        pictures.append(numpy.frombuffer(raw, f"<{signed}2").reshape(shape))
    index = request["index"]
    return numpy.stack(pictures) if index is None else pictures[index], {}


def _decode(request: dict, payload: bytes) -> tuple[dict, bytes]:
    import numpy
    from pydicom.pixels import get_decoder

    decoder = get_decoder(request["syntax"])
    problems = []
    for plugin in request["plugins"] or [""]:
        try:
            if plugin == "gdcm-extended":
                array, facts = _extended(request, payload)
            else:
                array, facts = decoder.as_array(
                    payload, index=request["index"], decoding_plugin=plugin, **request["options"]
                )
        except MemoryError:
            raise
        # A codec may raise anything on damaged input; the parent gets it as text.
        except Exception as error:
            problems.append(f"{plugin}: {error}")
            continue
        array = numpy.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        keep = ("photometric_interpretation", "bits_stored", "bits_allocated",
                "pixel_representation", "samples_per_pixel")  # fmt: skip
        answer: dict = {name: facts[name] for name in keep if name in facts}
        answer |= {"shape": array.shape, "dtype": array.dtype.str}
        return answer, array.tobytes()
    return {"error": "; ".join(problems)[:2000]}, b""


def _read(stream, count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data


def _send(stream, answer: dict, payload: bytes) -> None:
    text = json.dumps({**answer, "size": len(payload)}, default=str).encode()
    stream.write(struct.pack("<I", len(text)) + text)
    stream.write(payload)
    stream.flush()


def main() -> None:
    """Serve requests until stdin ends."""
    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    # C libraries print warnings; they must not get between the answers, nor to the user.
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    _limit(int(sys.argv[1]))
    import pydicom.pixels  # noqa: F401  slow to import: before the clock of a request runs

    _send(answers, {"ready": True}, b"")
    requests = sys.stdin.buffer
    while True:
        try:
            length = struct.unpack("<I", _read(requests, 4))[0]
            request = json.loads(_read(requests, length))
            payload = _read(requests, request["size"])
        except EOFError:
            return
        _alarm(request["seconds"])
        try:
            answer, pixels = _decode(request, payload)
        except MemoryError:
            answer, pixels = {"error": "not enough memory", "limit": True}, b""
        _alarm(0)
        _send(answers, answer, pixels)


if __name__ == "__main__":
    main()
