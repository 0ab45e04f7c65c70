from django.db import migrations

FORWARD = """
CREATE FUNCTION forms_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a published template version never changes; publish a new one';
END $$;
CREATE TRIGGER forms_templateversion_never_changes BEFORE UPDATE ON forms_templateversion
    FOR EACH ROW EXECUTE FUNCTION forms_refuse_change();
"""
BACKWARD = """
DROP TRIGGER forms_templateversion_never_changes ON forms_templateversion;
DROP FUNCTION forms_refuse_change();
"""


class Migration(migrations.Migration):

    dependencies = [("forms", "0001_initial")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
