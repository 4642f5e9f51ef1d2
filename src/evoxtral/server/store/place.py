"""Where a store is if nobody says. Imports nothing heavy: the settings' defaults come from here."""

from pathlib import Path

NO_STORE = "none"


def default_store_folder() -> Path:
    """Where the user's programs keep their data on this system, for instance ~/.local/share/evoxtral/server."""
    from platformdirs import user_data_path

    return user_data_path("evoxtral", appauthor=False) / "server"
