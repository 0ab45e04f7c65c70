"""`python -m tests.migrations`: the migrations say what the models say, asked of a real Postgres."""

from __future__ import annotations

import os
import sys

from tests import services


def main() -> int:
    """Return 1 when a migration is missing."""
    services.start(durable=False)
    os.environ["DJANGO_SETTINGS_MODULE"] = "easel.settings"
    import django
    from django.core.management import call_command

    try:
        django.setup()
        call_command("makemigrations", check_changes=True, dry_run=True)
    finally:
        services.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
