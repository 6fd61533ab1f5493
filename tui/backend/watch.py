"""The events of a Kubernetes watch.

The official client's watch loses bookmarks without typed models, and raises KeyError for an expired version.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress

import urllib3

from tui.core.ports import Object


class WatchStream:
    """The events of one watch as (type, object). `stop` ends it from any thread; a broken connection ends it too."""

    def __init__(self, response: urllib3.HTTPResponse) -> None:
        self._response = response

    def __iter__(self) -> Iterator[tuple[str, Object]]:
        rest = b""
        try:
            for chunk in self._response.stream():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in filter(None, lines):
                    event = json.loads(line)
                    yield event["type"], event["object"]
        except (urllib3.exceptions.HTTPError, OSError, ValueError, KeyError):
            return
        finally:
            self._response.close()

    def stop(self) -> None:
        """End the iteration in whichever thread it runs."""
        with suppress(OSError, RuntimeError, ValueError, AttributeError):  # urllib3 < 2.3 cannot: then it times out
            self._response.shutdown()
