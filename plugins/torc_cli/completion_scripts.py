"""What is added to the completion scripts of cyclopts: the ids of workflows, and a script for elvish."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from torc_core.options import OPTIONS, Option

FILE = "${XDG_CACHE_HOME:-$HOME/.cache}/torc/workflows"
"""As in `remembered`, in the words of a shell."""

BASH = """
_torc_with_workflows() {{
  _torc "$@"
  local cur="${{COMP_WORDS[COMP_CWORD]}}" last="" before="" word place id name
  for ((place = 1; place < COMP_CWORD; place++)); do
    word="${{COMP_WORDS[place]}}"
    [[ $word == -* ]] && continue
    before="$last"
    last="$word"
  done
  [[ $cur == -* || ${{COMP_WORDS[COMP_CWORD-1]}} != "$last" || ! -r "{file}" ]] && return
  case " $before $last" in
    {patterns}) ;;
    *) return ;;
  esac
  while IFS=$'\\t' read -r id name; do
    [[ $id == "$cur"* ]] && COMPREPLY+=("$id  $name")
  done < "{file}"
  [[ ${{#COMPREPLY[@]}} -eq 1 ]] && COMPREPLY=("${{COMPREPLY[0]%%  *}}")
}}

complete -F _torc_with_workflows torc
"""

ZSH = """  _torc_workflows() {{
    local -a found
    [[ -r "{file}" ]] && found=("${{(@f)$(sed -e 's/:/\\\\:/g' -e 's/\\t/:/' "{file}")}}")
    _describe workflow found
  }}

"""

FISH = """
function __torc_workflows
    set -l folder $XDG_CACHE_HOME
    test -n "$folder"; or set folder $HOME/.cache
    test -r $folder/torc/workflows; and cat $folder/torc/workflows
end
"""

ELVISH = """# Elvish completion for torc

set edit:completion:arg-completer[torc] = {{|@words|
    var command = torc
    var completions = [
{cases}
    ]
    for word $words[1..-1] {{
        if (has-key $completions $command' '$word) {{
            set command = $command' '$word
        }}
    }}
    all $completions[$command]
    if (has-value [{taking}] $command) {{
        try {{ e:cut -f1 (if (has-env XDG_CACHE_HOME) {{ put $E:XDG_CACHE_HOME }} else {{ put $E:HOME/.cache }})/torc/workflows | from-lines }} catch e {{ }}
    }}
}}
"""


def script(app: App, shell: str) -> str:
    """The script for a shell."""
    if shell == "elvish":
        return _elvish(app)
    _declare_options(app)
    text = app.generate_completion(shell=shell, prog_name="torc")  # type: ignore[arg-type]  # one of its shells
    paths = [words for words in commands(app) if _takes_workflow(app, words)]
    if shell == "bash":
        patterns = " | ".join(
            f'" {" ".join(words) if len(words) > 1 else f" {words[0]}"}"' for words in paths
        )
        head, _, _ = text.rpartition("complete -F _torc torc")
        return head + BASH.format(file=FILE, patterns=patterns).lstrip("\n")
    if shell == "zsh":
        first = "_cyclopts_torc() {\n"
        text = text.replace(first, first + ZSH.format(file=FILE), 1)
        for said in ("Id of the workflow, or last.", "Specification, id of a workflow, or last."):
            text = text.replace(f"'1:{said}'", f"'1:{said}:_torc_workflows'")
        return text
    if shell == "fish":
        asked = (
            f"complete -c torc -n '__fish_torc_using_command {' '.join(words)}' -k -a '(__torc_workflows)'\n"
            for words in paths
        )
        return text + FISH + "".join(asked)
    return text


def _declare_options(app: App) -> None:
    """Tell the app of the global options; otherwise it would take them apart for every command, in 50 ms."""

    def launch(**options: object) -> None: ...

    launch.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # functions take a signature of one's own
        [
            inspect.Parameter(
                option.names[0].strip("-").replace("-", "_"),
                inspect.Parameter.KEYWORD_ONLY,
                default=None if option.value else False,
                annotation=Annotated[
                    _kind(option),
                    Parameter(name=option.names, help=option.help, negative=()),
                ],
            )
            for option in OPTIONS
        ]
    )
    app.meta.default(launch)


def _kind(option: Option) -> Any:
    """The type of an option's value."""
    if option.choices:
        return Literal[option.choices] | None
    return str | None if option.value else bool


def commands(app: App, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every visible command, groups before what is in them."""
    for name in app:
        if not name.startswith("-") and app[name].show:
            yield (*words, name)
            yield from commands(app[name], (*words, name))


def _takes_workflow(app: App, words: Sequence[str]) -> bool:
    """Whether the first argument of a command is a workflow."""
    function = _at(app, words).default_command
    if function is None:
        return False
    first = next(iter(inspect.signature(function).parameters.values()), None)
    return first is not None and first.name in ("workflow", "what") and first.kind is not first.KEYWORD_ONLY


def _at(app: App, words: Sequence[str]) -> App:
    for word in words:
        app = app[word]
    return app


def _elvish(app: App) -> str:
    every = sorted(name for option in OPTIONS for name in option.names)
    paths = [(), *commands(app)]
    cases = []
    for words in paths:
        inside = _at(app, words)
        offered = [name for name in inside if not name.startswith("-") and inside[name].show]
        if words and inside.default_command is not None:
            found = {name for one in inside.assemble_argument_collection() for name in one.names}
            offered += sorted(name for name in found if name.startswith("-"))
        listed = " ".join(map(_quoted, [*offered, *every, "--help"]))
        cases.append(f"        &{_quoted(' '.join(('torc', *words)))}=[{listed}]")
    taking = " ".join(
        _quoted(" ".join(("torc", *words))) for words in paths if words and _takes_workflow(app, words)
    )
    return ELVISH.format(cases="\n".join(cases), taking=taking)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
