"""The application object for ASGI servers: `gunicorn -k uvicorn_worker.UvicornWorker recyclic.core.asgi:app`.

Importing it reads the configuration and the modules and opens nothing, so it may be imported before a fork.
"""

from recyclic.config import Config
from recyclic.core.app import create_app
from recyclic.core.observability import configure_logging
from recyclic.core.startup_errors import StartupErrors

_config = Config.load()
configure_logging(_config.log)
app = StartupErrors(create_app(_config))
