"""HTTP from a sync test: the kit's clients, with calls that wait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

    from recyclic.testing.slots.stage import Stage


class SyncClient:
    """An HTTP client whose calls wait."""

    def __init__(self, stage: Stage, client: httpx.AsyncClient) -> None:
        self._stage = stage
        self._client = client

    def request(self, method: str, url: str, **options: Any) -> httpx.Response:
        """Send a request; options are httpx's."""
        response: httpx.Response = self._stage.run(self._client.request, method, url, **options)
        return response

    def get(self, url: str, **options: Any) -> httpx.Response:
        """Send a GET."""
        return self.request("GET", url, **options)

    def post(self, url: str, **options: Any) -> httpx.Response:
        """Send a POST."""
        return self.request("POST", url, **options)

    def put(self, url: str, **options: Any) -> httpx.Response:
        """Send a PUT."""
        return self.request("PUT", url, **options)

    def patch(self, url: str, **options: Any) -> httpx.Response:
        """Send a PATCH."""
        return self.request("PATCH", url, **options)

    def delete(self, url: str, **options: Any) -> httpx.Response:
        """Send a DELETE."""
        return self.request("DELETE", url, **options)
