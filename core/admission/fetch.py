"""Getting a `health_url`: nothing of any client goes along, and nothing that comes back is trusted."""

from __future__ import annotations

import asyncio

import aiohttp

from core.admission.prober import Answered, Unanswered

LARGEST = 1024 * 1024
"""Bytes of an answer."""

_HEADERS = {"Accept": "application/json, text/plain", "Accept-Encoding": "identity", "User-Agent": "maitred"}


class HttpFetcher:
    """See `Fetcher`; each attempt has a connection of its own, so that it also tells whether one can be had."""

    def __init__(self, timeout: float) -> None:
        """`timeout` in seconds, for all of an attempt; a socket's patience is real time."""
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None

    async def get(self, url: str) -> Answered | Unanswered:
        """See `Fetcher.get`."""
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._connections().get(url, headers=_HEADERS, allow_redirects=False) as response,
            ):
                if response.headers.get("Content-Encoding", "identity").lower() != "identity":
                    return Unanswered("its answer is compressed, which nobody asked for")
                body = await _bounded(response)
                if body is None:
                    return Unanswered(f"its answer is over {LARGEST} bytes")
                return Answered(response.status, body)
        except TimeoutError:
            return Unanswered(f"it did not answer within {self._timeout:g} s")
        except aiohttp.ClientConnectorError as error:
            return Unanswered(f"it cannot be reached ({error.os_error})")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Unanswered(f"it broke off ({type(error).__name__})")

    async def aclose(self) -> None:
        """Close what is open."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _connections(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, force_close=True),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                trust_env=False,
                auto_decompress=False,
            )
        return self._session


async def _bounded(response: aiohttp.ClientResponse) -> bytes | None:
    """The whole body, None for one that is too large."""
    body = bytearray()
    async for data in response.content.iter_any():
        body += data
        if len(body) > LARGEST:
            return None
    return bytes(body)
