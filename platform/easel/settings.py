"""Django's settings: one file for every deployment. What differs between deployments stands in env.py."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from csp.constants import NONE, SELF
from psycopg.conninfo import conninfo_to_dict

from easel.env import REPOSITORY, environment

SECRET_KEY = environment.signing_key
DEBUG = environment.debug
ALLOWED_HOSTS = [host.strip() for host in environment.allowed_hosts.split(",") if host.strip()]

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "axes",
    "csp",
    "django_htmx",
    "django_linear_migrations",
    "drf_spectacular",
    "knox",
    "rest_framework",
    "easel.common",
    "easel.accounts",
    "easel.forms",
    "easel.registry",
    "easel.projects",
    "easel.prompts",
    "easel.images",
    "easel.annotation",
    "easel.preferences",
    "easel.snapshots",
    "easel.training",
    "easel.evaluation",
    "easel.demo",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "easel.common.http.RefusalMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "easel.urls"
WSGI_APPLICATION = "easel.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        # A component's field.html stands in its folder: "components/ranking/field.html".
        "DIRS": [REPOSITORY / "templates" / "pages", REPOSITORY / "platform" / "easel" / "forms"],
        "APP_DIRS": False,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]


def _database(url: str) -> dict[str, Any]:
    """Turn a postgresql:// URL into Django's form; libpq's own parser reads it, so every libpq option works."""
    parts = conninfo_to_dict(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.pop("dbname", "easel"),
        "USER": parts.pop("user", ""),
        "PASSWORD": parts.pop("password", ""),
        "HOST": parts.pop("host", ""),
        "PORT": parts.pop("port", ""),
        "OPTIONS": {**parts, "pool": {"min_size": 1, "max_size": 12, "timeout": 10}},
        "CONN_HEALTH_CHECKS": True,  # a connection that died with Postgres is replaced, not handed to a request
    }


DATABASES = {"default": _database(environment.database)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "sign_in"
LOGIN_REDIRECT_URL = "projects"
LOGOUT_REDIRECT_URL = "sign_in"
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]  # one guesser locks neither the others nor the account's owner
AXES_LOCKOUT_TEMPLATE = "accounts/locked_out.html"
AXES_RESET_ON_SUCCESS = True
AXES_VERBOSE = False
AXES_ENABLE_ACCESS_FAILURE_LOG = False

LANGUAGE_CODE = "en"
USE_I18N = True
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
STATICFILES_DIRS = [REPOSITORY / "platform" / "easel" / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "easel.forms.finders.ComponentFinder",
]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True  # the embedded default runs from a checkout, without a collectstatic step
DATA_UPLOAD_MAX_MEMORY_SIZE = 12 * 2**20
DATA_UPLOAD_MAX_NUMBER_FILES = 1_000  # more than any form takes: the form says how many, Django only "bad request"
MAX_PROMPT_UPLOAD_BYTES = 10 * 2**20

SECURE = urlsplit(environment.public_url).scheme == "https"
SESSION_COOKIE_SECURE = SECURE
CSRF_COOKIE_SECURE = SECURE
CSRF_TRUSTED_ORIGINS = [environment.public_url.rstrip("/")] if environment.public_url else []
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if SECURE else None
SECURE_HSTS_SECONDS = 31_536_000 if SECURE else 0
SESSION_COOKIE_SAMESITE = "Lax"
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:", "blob:"],
        "connect-src": [SELF],
        "font-src": [SELF],
        "manifest-src": [SELF],
        "form-action": [SELF],
        "frame-src": [SELF],  # the builder shows a form as annotators get it
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    },
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "easel.accounts.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["easel.common.parsers.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "easel.common.http.answer_refusal",
    "URL_FORMAT_OVERRIDE": None,  # ?format= names an export, not a renderer
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
REST_KNOX = {
    "TOKEN_MODEL": "accounts.ApiToken",
    "TOKEN_TTL": timedelta(days=365),
    "AUTH_HEADER_PREFIX": "Token",
    "TOKEN_PREFIX": "easel_",
}
KNOX_TOKEN_MODEL = "accounts.ApiToken"  # noqa: S105 -- the name of a model
MIGRATION_MODULES = {"knox": None}  # its own migrations would make a second, unused table of tokens
SPECTACULAR_SETTINGS = {
    "TITLE": "Easel",
    "DESCRIPTION": "Human rankings of generated images, and the fine-tuning that learns from them.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "ModelKind": "easel.registry.models.ModelVersion.Kind",
        "PictureKind": "easel.prompts.models.ConditioningImage.Kind",
        "NewModelKind": "easel.registry.api.NEW_KINDS",
        "SnapshotState": "easel.snapshots.models.DatasetSnapshot.State",
        "RunState": ["queued", "running", "paused", "cancelled", "done", "failed"],
        "AttemptOutcome": ["waiting", "open", "ranked", "skipped"],
        "ProjectRole": "easel.accounts.roles.Role",
        "AnnotatorKind": "easel.accounts.models.User.Kind",
        "BulkActKind": "easel.annotation.models.BulkAct.Kind",
        "ReviewVerdict": "easel.annotation.models.Review.Verdict",
        "BulkReviewVerdict": ["accepted", "returned"],
        "EvaluationState": ["generating", "judging", "done", "paused", "cancelled", "failed"],
    },
    "AUTHENTICATION_WHITELIST": ["easel.accounts.authentication.TokenAuthentication"],
}

CELERY_BROKER_URL = environment.broker
CELERY_TASK_IGNORE_RESULT = True
CELERY_RESULT_BACKEND = environment.result_backend
CELERY_RESULT_EXPIRES = 60  # seconds; only a worker's claim waits for an answer
CELERY_TASK_DEFAULT_QUEUE = "web"
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0, "interval_max": 0.2}
CELERY_BROKER_TRANSPORT_OPTIONS = (
    # Without the restore settings, the task of a killed worker comes back after 100 s instead of about 20.
    {
        "visibility_timeout": 60,
        "unacked_restore_interval": 2,
        "unacked_restore_throttle": 1,
        "socket_connect_timeout": 2,
        "socket_timeout": 3,  # a broker that hangs must not make who asks hang with it; a poll takes a second
    }
    if urlsplit(environment.broker).scheme.startswith("redis")
    else {}
)
CELERY_BEAT_SCHEDULE_FILENAME = str(environment.home / "beat-schedule")

LEASE = timedelta(seconds=environment.lease_seconds)
JOB_LEASE = timedelta(seconds=environment.job_lease_seconds)
CHUNK_IMAGES = environment.chunk_images
STORAGE_URL = environment.storage
MEDIA_ACCEL = environment.media_accel

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {"django.server": {"level": "WARNING"}, "axes": {"level": "WARNING"}},
}
