"""The web server's way in."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "easel.settings")

application = get_wsgi_application()

import easel.urls  # noqa: E402, F401 -- before gunicorn forks: no worker's first request waits for it
