"""`python -m tests.faults.stocking`: items and annotators for the Easel of EASEL_HOME; prints who they are as JSON."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from generation.storage import MODEL_PATH_VARIABLE


def main() -> None:
    """Make a project whose items wait for `overlap` annotators each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--annotators", type=int, required=True)
    parser.add_argument("--items", type=int, required=True)
    parser.add_argument("--overlap", type=int, required=True)
    options = parser.parse_args()
    os.environ["DJANGO_SETTINGS_MODULE"] = "easel.settings"
    import django

    django.setup()
    from django.utils import timezone
    from easel.accounts.services import create_token
    from easel.annotation.models import Annotation, Assignment, Item
    from easel.projects.models import Project

    from tests import cast as stage
    from tests.stock import analyze, fill

    with tempfile.TemporaryDirectory() as folder:
        os.environ[MODEL_PATH_VARIABLE] = folder
        stage.make_model_folder(Path(folder) / "painter")
        cast = stage.make_cast(timezone.now())
    stage.make_items(cast, min(8, options.items))
    fill(cast.project, options.items - Item.objects.filter(project=cast.project).count())
    Project.objects.filter(pk=cast.project.pk).update(overlap=options.overlap, overlap_lead=0)
    analyze()
    assert not Assignment.objects.filter(item__project=cast.project).exists()
    assert not Annotation.objects.filter(project=cast.project).exists()
    made = [stage.make_user(f"annotator{number}", cast.project) for number in range(options.annotators)]
    people = [{"id": str(user.pk), "token": create_token(user, "faults")[1]} for user in made]
    owner = create_token(cast.alice, "faults")[1]
    json.dump({"project": str(cast.project.pk), "annotators": people, "owner": owner}, sys.stdout)


if __name__ == "__main__":
    main()
