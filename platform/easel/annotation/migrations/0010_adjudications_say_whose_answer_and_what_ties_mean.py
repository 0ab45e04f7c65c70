from django.db import migrations, models
from django.db.models import deletion


class Migration(migrations.Migration):
    dependencies = [("annotation", "0009_bulk_acts_likeness_and_indexes_of_curate")]

    operations = [
        migrations.AddField(
            model_name="adjudication",
            name="chosen",
            field=models.ForeignKey(
                help_text="Whose answer was taken; null: the adjudicator ranked anew.",
                null=True,
                on_delete=deletion.SET_NULL,
                related_name="+",
                to="annotation.annotation",
            ),
        ),
        migrations.AddField(
            model_name="adjudication",
            name="ties_are_equal",
            field=models.BooleanField(
                db_default=True,
                default=True,
                help_text="As of an annotation: whether images on one place were judged equal.",
            ),
        ),
    ]
