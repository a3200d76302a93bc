"""The hook of a task: created once, so that the task reads its connection once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from airflow_provider_visio.hooks.base import VisioBaseHook

Hook = TypeVar("Hook", bound="VisioBaseHook")

# Not copied with a task: open connections and locks cannot be.
_NOT_COPIED = ("_hook", "_wait")


class CachedHook:
    """An operator or sensor with one hook."""

    _hook: Any = None

    def _cached_hook(self, hook_class: type[Hook], conn_id: str, longest_wait: float | None) -> Hook:
        # The connection's id is a template, so it can change until the task runs.
        if self._hook is None or self._hook.conn_id != conn_id:
            self._hook = hook_class(conn_id, longest_wait=longest_wait)
        hook: Hook = self._hook
        return hook

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()  # type: ignore[assignment]
        return {name: value for name, value in state.items() if name not in _NOT_COPIED}

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        for name in _NOT_COPIED:
            vars(self).pop(name, None)
        return super().__deepcopy__(memo)  # type: ignore[misc]
