# A render or train worker: torch and diffusers, and none of the platform's code. Build from the repository's root:
#   docker build -f docker/gpu.Dockerfile -t easel-gpu:0.1.0 .
# torch's own package brings CUDA; the host needs NVIDIA's driver and container toolkit.

FROM python:3.11.14-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN ["python", "-m", "venv", "/opt/easel"]
WORKDIR /srv/easel
COPY requirements/install.txt requirements/ml.txt requirements/
RUN ["/opt/easel/bin/pip", "install", "--require-hashes", "--no-deps", "-r", "requirements/install.txt", "-r", "requirements/ml.txt"]
# The version that pyproject.toml pins. Its hash depends on the machine's CUDA, so no lock holds it.
RUN ["/opt/easel/bin/pip", "install", "torch==2.13.0"]
COPY generation generation
COPY finetune finetune
RUN ["/opt/easel/bin/python", "-m", "compileall", "-q", "generation", "finetune"]

FROM python:3.11.14-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /var/lib/easel --shell /usr/sbin/nologin easel \
    && install --directory --owner=easel --group=easel /var/lib/easel /srv/easel-images /srv/easel-training
COPY --from=build /opt/easel /opt/easel
COPY --from=build /srv/easel /srv/easel
ENV PATH=/opt/easel/bin:$PATH PYTHONPATH=/srv/easel PYTHONUNBUFFERED=1 EASEL_HOME=/var/lib/easel
WORKDIR /srv/easel
USER easel
# A worker at work answers no ping, so this asks only for the broker; the platform notices a silent worker by itself.
HEALTHCHECK --interval=60s --timeout=20s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os; from kombu.connection import Connection; Connection(os.environ['BROKER_URL'], connect_timeout=5).ensure_connection(max_retries=1)"]
CMD ["celery", "--app=generation.worker", "worker", "--queues=live,batch", "--pool=solo", "--hostname=render@%h", "--loglevel=INFO", "--without-gossip", "--without-mingle"]
