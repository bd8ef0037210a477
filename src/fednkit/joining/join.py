"""Join a federation as a site: run FEDn's client, restart it when it ends, and report why.

    python join.py               join the federation that client.yaml names
    python join.py check [FILE]  check the site's data against the data contract
    python join.py health        exit with 0 if the client is connected

The site's data is read from FEDN_DATA_PATH, or from the folder data/ next to this file. The
settings are read from FEDN_CLIENT_CONFIG, or from client.yaml next to this file. The version of the
last signed package is kept in the folder SITE_STATE, or below ~/.local/state.
"""

import importlib
import sys
from pathlib import Path

if __name__ == "__main__":
    # With PYTHONSAFEPATH, Python does not search the script's folder.
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    importlib.import_module("joining._commands").main(sys.argv[1:])
