from django.db import migrations

FORWARD = """
CREATE FUNCTION snapshots_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a frozen snapshot never changes; take a new one';
END $$;
CREATE TRIGGER snapshots_frozen_never_changes BEFORE UPDATE ON snapshots_datasetsnapshot
    FOR EACH ROW WHEN (OLD.frozen_at IS NOT NULL) EXECUTE FUNCTION snapshots_refuse_change();
"""
BACKWARD = """
DROP TRIGGER snapshots_frozen_never_changes ON snapshots_datasetsnapshot;
DROP FUNCTION snapshots_refuse_change();
"""


class Migration(migrations.Migration):

    dependencies = [("snapshots", "0001_snapshots")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
