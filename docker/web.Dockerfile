# The platform: web server, web worker, clock and migrations. Build from the repository's root:
#   docker build -f docker/web.Dockerfile -t easel-web:0.1.0 .

FROM python:3.11.14-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN ["python", "-m", "venv", "/opt/easel"]
WORKDIR /srv/easel
COPY requirements/install.txt requirements/web.txt requirements/
RUN ["/opt/easel/bin/pip", "install", "--require-hashes", "--no-deps", "-r", "requirements/install.txt", "-r", "requirements/web.txt"]
COPY pyproject.toml README.md LICENSE manage.py ./
COPY platform platform
COPY generation generation
COPY finetune finetune
COPY templates templates
# Editable: templates and static files are read from the checkout.
RUN ["/opt/easel/bin/pip", "install", "--no-deps", "--no-build-isolation", "--editable", "."]
RUN ["/opt/easel/bin/python", "-m", "compileall", "-q", "platform", "generation", "finetune"]

FROM python:3.11.14-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /var/lib/easel --shell /usr/sbin/nologin easel \
    && install --directory --owner=easel --group=easel /var/lib/easel /srv/easel-images
COPY --from=build /opt/easel /opt/easel
COPY --from=build /srv/easel /srv/easel
ENV PATH=/opt/easel/bin:$PATH PYTHONUNBUFFERED=1 EASEL_HOME=/var/lib/easel
WORKDIR /srv/easel
USER easel
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["gunicorn", "easel.wsgi:application", "--bind=0.0.0.0:8000", "--preload", "--worker-class=gthread", "--workers=2", "--threads=4", "--keep-alive=5", "--timeout=60", "--graceful-timeout=2", "--no-control-socket"]
