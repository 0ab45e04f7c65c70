"""`manage.py seed_demo`."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from easel.common.errors import Refusal
from easel.demo.services import seed


class Command(BaseCommand):
    """Makes the demo account and project."""

    help = "Make the demo's account and project and ask for its images. What is there already is kept."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take --json."""
        parser.add_argument("--json", action="store_true", help="Print one JSON object for scripts.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Seed and print how to sign in."""
        try:
            seeded = seed(timezone.now())
        except Refusal as refusal:
            raise CommandError(refusal.detail) from refusal
        if options["json"]:
            self.stdout.write(json.dumps(seeded))
        else:
            admin = seeded["admin"]
            self.stdout.write(
                f"Sign in as {admin['username']} with {admin['password']}; project {seeded['demo_project']}"
            )
