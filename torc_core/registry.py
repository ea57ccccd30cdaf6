"""Named providers, gathered once from a hook."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeVar, cast

from torc_core.errors import PluginError, UnknownProvider, did_you_mean
from torc_core.providers import Provider, SpecFormat

if TYPE_CHECKING:
    from pluggy import HookCaller

P = TypeVar("P", bound=Provider | SpecFormat)


class Registry(Mapping[str, P]):
    """What plugins offer of one kind, by name, in alphabetical order.

    Raises
    ------
    PluginError
        If two plugins offer the same name, or one offers something that is no `type`.
    """

    def __init__(
        self, kind: str, type: type[P], hook: HookCaller, trace: Callable[..., None] | None = None
    ) -> None:
        self.kind = kind
        self.owners: dict[str, str] = {}
        """Names of the plugins, by name of what they offer."""
        items: dict[str, P] = {}
        for impl in hook.get_hookimpls():
            # NOTE: called one by one and not through pluggy, so that everything offered has an owner.
            if trace:
                trace(hook.name, "of", impl.plugin_name)
            for provider in cast("Iterable[P]", impl.function()):
                if not isinstance(provider, type):
                    raise PluginError(
                        f"plugin {impl.plugin_name!r} offers {provider!r} as a {kind}, which is no {type.__name__}; "
                        f"disable it with TORC_DISABLE_PLUGINS={impl.plugin_name}"
                    )
                self._claim(provider.name, impl.plugin_name)
                items[provider.name] = provider
        self._items = dict(sorted(items.items()))

    def _claim(self, name: str, plugin: str) -> None:
        first = self.owners.setdefault(name, plugin)
        if first != plugin:
            raise PluginError(
                f"{self.kind} {name!r} is offered by both {first!r} and {plugin!r}; "
                f"disable one of them with TORC_DISABLE_PLUGINS={plugin}"
            )

    def __getitem__(self, name: str) -> P:
        if name in self._items:
            return self._items[name]
        installed = ", ".join(self._items) or "none"
        raise UnknownProvider(
            f"no {self.kind} named {name!r}{did_you_mean(name, self._items)} (installed: {installed})"
        )

    def __contains__(self, name: object) -> bool:
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)
