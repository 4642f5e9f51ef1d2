"""Prints the server's OpenAPI document, from which the Studio's types are generated (`make studio-types`)."""

import json

from evoxtral.server.app import create_app
from evoxtral.server.settings import Settings

print(json.dumps(create_app(Settings(store="none")).openapi(), indent=1))
