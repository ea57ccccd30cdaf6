"""`torc plugins`: what is installed, what it offers, and why something is not loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Annotated, Any

from cyclopts import App, Parameter

from torc_core.errors import NotFound, PluginError, did_you_mean
from torc_core.given import Given
from torc_core.loading import PluginRecord
from torc_core.model import Json
from torc_core.providers import Provider, SpecFormat
from torc_core.session import Session
from torc_terminal.options import Flag
from torc_terminal.output.answer import Listing, Report, refuse_csv
from torc_terminal.output.cells import Column
from torc_terminal.output.records import Item

app = App(name="plugins", help="What is installed, what it offers, and why something is not loaded.")


def _joined(key: str) -> Column:
    def text(item: Mapping[str, Json]) -> str:
        value = item[key]
        return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else ""

    return Column(title=key.capitalize(), key=key, show=text)


def _offers(item: Mapping[str, Json]) -> str:
    offers = item["offers"]
    kinds = offers.items() if isinstance(offers, Mapping) else ()
    return "; ".join(
        f"{kind}: {', '.join(map(str, names))}" for kind, names in kinds if isinstance(names, list)
    )


COLUMNS = (
    Column(title="Name", key="name"),
    Column(title="Distribution", key="distribution"),
    Column(title="Version", key="version"),
    Column(title="State", key="state"),
    _joined("hooks"),
    Column(title="Offers", key="offers", show=_offers),
)


@app.default
@app.command(name="list")
def list_(
    *,
    why_not_loaded: Annotated[Flag, Parameter(name="--why-not-loaded")] = False,
    session: Given,
) -> Listing:
    """List the installed plugins.

    Parameters
    ----------
    why_not_loaded
        Only those that are not loaded, with the reason.
    """
    records = [one for one in session.host.plugins if not why_not_loaded or one.state != "loaded"]
    why = Column(title="Why", key="why")
    return Listing(
        schema="torc.plugins.list/1",
        noun="plugins" if not why_not_loaded else "plugins that are not loaded",
        items=[_item(session, record) for record in records],
        columns=(*COLUMNS[:4], why) if why_not_loaded else COLUMNS,
    )


@app.command
def show(name: str, /, *, session: Given) -> Report:
    """Show what a plugin offers, and its settings with where they come from.

    Parameters
    ----------
    name
        Name of the plugin.
    """
    refuse_csv(session)
    plugins = {record.name: record for record in session.host.plugins}
    if name not in plugins:
        installed = ", ".join(plugins)
        raise NotFound(f"no plugin named '{name}'{did_you_mean(name, plugins)} (installed: {installed})")
    item = _item(session, plugins[name])
    providers = [_provider(session, kind, one) for kind, one in _provided(session, name)]
    lines = [
        f"{key:<13}{item[key]}" for key in ("name", "distribution", "version", "module", "state") if item[key]
    ]
    if item["why"]:
        lines.append(f"{'why':<13}{item['why']}")
    lines.append(f"{'hooks':<13}{', '.join(plugins[name].hooks) or 'none'}")
    for provider in providers:
        lines += ["", f"{provider['kind']}: {provider['name']} - {provider['summary']}"]
        lines += [
            f"  {setting['key']} = {setting['value']!r}  ({setting['source']})  {setting['help']}".rstrip()
            for setting in provider["settings"]
        ]
    return Report(schema="torc.plugins.show/1", data={**item, "providers": providers}, text="\n".join(lines))


@app.command
def check(module: str, /, *, session: Given) -> Report:
    """Check a plugin module: its hooks exist, it is light to import, its settings are documented.

    Parameters
    ----------
    module
        Name of the module, as it would be imported.
    """
    refuse_csv(session)
    from torc_core.testing.plugins import check_plugin

    try:
        check_plugin(module)
        problems: list[Json] = []
    except (PluginError, AssertionError) as error:
        problems = [str(error)]
    return Report(
        schema="torc.plugins.check/1",
        data={"module": module, "valid": not problems, "problems": problems},
        text="\n".join(map(str, problems)) or f"{module} is a valid plugin",
        exit_code=1 if problems else 0,
    )


def _item(session: Session, record: PluginRecord) -> Item:
    offers: dict[str, list[Json]] = {}
    for kind, provider in _provided(session, record.name):
        offers.setdefault(kind, []).append(provider.name)
    return {
        "name": record.name,
        "module": record.module,
        "distribution": record.distribution or None,
        "version": record.version or None,
        "state": record.state,
        "hooks": list(record.hooks),
        "offers": offers,
        "why": record.why or None,
    }


def _provided(session: Session, plugin: str) -> list[tuple[str, Provider | SpecFormat]]:
    """What a plugin offers: the kind and the provider."""
    return [
        (kind, registry[name])
        for kind, registry in session.host.registries().items()
        for name, owner in registry.owners.items()
        if owner == plugin
    ]


def _provider(session: Session, kind: str, provider: Provider | SpecFormat) -> dict[str, Any]:
    """A provider with its settings, each with its value and where that comes from."""
    from torc_core.config.check import keys_of

    settings: list[dict[str, Any]] = []
    if isinstance(provider, Provider) and is_dataclass(provider.settings):
        values = session.host.settings(kind, provider)
        table = f"{kind}.{provider.name.replace('-', '_')}"
        for name, key in keys_of(provider.settings).items():
            value = _inner(values, name)
            given = session.config.given(f"{table}.{name}")
            settings.append(
                {
                    "key": f"{table}.{name}",
                    "value": "***" if key.secret and value is not None else value,
                    "default": "***" if key.secret and key.default is not None else key.default,
                    "source": str(given.source) if given else "default",
                    "help": key.help,
                }
            )
    return {"kind": kind, "name": provider.name, "summary": provider.summary, "settings": settings}


def _inner(values: Any, name: str) -> Any:
    for part in name.split("."):
        values = getattr(values, part)
    return values
