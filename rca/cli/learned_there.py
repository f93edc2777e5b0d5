"""What a running service learnt: shown, learnt anew and taken back by command."""

from __future__ import annotations

from pathlib import Path

from rca.cli.learned_words import in_words, print_versions
from rca.cli.terminal import messages, output, printable


def learn_there(url: str, token_file: Path | None) -> None:
    """Has a service learn, and says what that came to."""
    from rca.cli.incident import open_client

    with open_client(url, token_file) as client:
        job = client.learn()
        messages().print(printable(f"Lesson {job['id']}"))
        client.wait(job["id"], 3_600.0)
        told = client.learned()
    result = told["result"]
    if result is None:
        return
    console = output()
    if result["version"]:
        state = "in use now" if result["promoted"] else "kept, but not used"
        console.print(printable(f"service {result['version']}: {state}; {result['reason']}"))
    else:
        console.print(printable(result["reason"]))
    if left := result["confirmed"] - result["taught"]:
        console.print(printable(f"{left} of {result['confirmed']} confirmed incidents teach nothing"))


def show_there(url: str, token_file: Path | None) -> None:
    """Says what a service learnt."""
    from rca.cli.incident import open_client

    with open_client(url, token_file) as client:
        told = client.learned()
    console = output()
    console.print(printable(f"{told['confirmed']} incidents are confirmed, {told['needed']} are needed"))
    if told["result"] is not None:
        console.print(printable(f"last lesson: {told['result']['reason']}"))
    if told["held"]:
        console.print("somebody went back: the service learns again when it is told to (rca learn --url URL)")
    cards = {one["version"]: one for one in reversed(told["versions"])}
    if cards:
        print_versions(cards, told["in_use"])


def roll_back_there(url: str, token_file: Path | None, *, untrained: bool) -> None:
    """Takes a service's last version back."""
    from rca.cli.incident import open_client

    with open_client(url, token_file) as client:
        told = client.roll_back(untrained=untrained)
    output().print(printable(f"service: {in_words(told['in_use'])} is in use; it learns again when it is told to"))
