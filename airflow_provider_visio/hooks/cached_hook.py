"""The hook of a task: created once, so that the task reads its connection once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_visio.api.plain_values import id_text

if TYPE_CHECKING:
    from airflow_provider_visio.hooks.base import VisioBaseHook
    from airflow_provider_visio.hooks.visiono import VisionoHook
    from airflow_provider_visio.hooks.vizdom import VizdomHook

Hook = TypeVar("Hook", bound="VisioBaseHook")

# Not copied with a task: open connections and locks cannot be.
_NOT_COPIED = ("_hook", "_wait")

# Seconds for which the rate limit may hold a worker: then the task defers, or looks again later.
LONGEST_HOLD = 60.0


class CachedHook:
    """An operator or sensor with one hook."""

    _hook: Any = None

    @property
    def hook(self) -> Any:
        """The hook of this task's connection."""
        raise NotImplementedError

    @property
    def _longest_wait(self) -> float | None:
        """Seconds that the hook may wait for the rate limit at most; None for the connection's setting."""
        return None

    def _cached_hook(self, hook_class: type[Hook], conn_id: str) -> Hook:
        # The connection's id is a template, so it can change until the task runs; a native one may be a number.
        conn_id = str(id_text(conn_id))
        if self._hook is None or self._hook.conn_id != conn_id:
            self._hook = hook_class(conn_id, longest_wait=self._longest_wait)
        hook: Hook = self._hook
        return hook

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()  # type: ignore[assignment]
        return {name: value for name, value in state.items() if name not in _NOT_COPIED}

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        for name in _NOT_COPIED:
            vars(self).pop(name, None)
        return super().__deepcopy__(memo)  # type: ignore[misc]


# The hooks are imported in functions, so that parsing a DAG file does not import an HTTP library.


class VisionoTask(CachedHook):
    """An operator or sensor that uses a Visiono connection."""

    ui_color = "#e3f0ff"
    visiono_conn_id: str

    @property
    def hook(self) -> VisionoHook:
        """The hook of this task's connection."""
        from airflow_provider_visio.hooks.visiono import VisionoHook

        return self._cached_hook(VisionoHook, self.visiono_conn_id)


class VizdomTask(CachedHook):
    """An operator or sensor that uses a Vizdom connection."""

    ui_color = "#efe6ff"
    vizdom_conn_id: str

    @property
    def hook(self) -> VizdomHook:
        """The hook of this task's connection."""
        from airflow_provider_visio.hooks.vizdom import VizdomHook

        return self._cached_hook(VizdomHook, self.vizdom_conn_id)
