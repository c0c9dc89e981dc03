# syntax=docker/dockerfile:1
#
# One image per tier, for amd64 and arm64 alike; compose.yaml builds them, or by hand:
#
#   docker build --target device -t recserve-device .
#   docker buildx build --platform linux/amd64,linux/arm64 --target device -t NAME --push .
#
# /opt/recserve is laid out like this repository, so the paths in configs/ hold there too. Nothing
# in it is writable for the agent; the only state is a cache of hub models in the cloud image.

FROM python:3.12-slim AS build
WORKDIR /src
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1


# The programs and what every tier needs: no PyTorch, no transformers.
FROM build AS program
# Not all of models/: a bundle goes only into the image of its tier.
COPY pyproject.toml README.md LICENSE ./
COPY broker/ broker/
COPY cloud_agent/ cloud_agent/
COPY device_agent/ device_agent/
COPY edge_agent/ edge_agent/
COPY experiments/ experiments/
COPY models/__init__.py models/
COPY models/pack/ models/pack/
COPY recserve/ recserve/
COPY shared/ shared/
RUN pip install .


# The same with PyTorch, for `model.runtime: transformers`, and what asks a server. Left empty, TORCH_INDEX takes PyTorch's
# default build: for the CPU on arm64, with gigabytes of CUDA on amd64. Give it the address of
# PyTorch's own wheel index for "cpu" to leave those out, or for a certain CUDA version.
FROM build AS program-torch
ARG TORCH_INDEX=""
RUN pip install torch==2.13.0 ${TORCH_INDEX:+--index-url "$TORCH_INDEX"}
COPY --from=program /src /src
RUN pip install ".[cloud,openai]"


# What all three images share: a user without rights, and how to see whether an agent is well.
FROM python:3.12-slim AS agent
RUN groupadd --system --gid 10001 recserve && \
    useradd --system --uid 10001 --gid recserve --home-dir /var/lib/recserve --create-home \
        --shell /usr/sbin/nologin recserve
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONSAFEPATH=1 RECSERVE_METRICS__PORT=9100
# ONNX Runtime since 1.29 reports its use to its maker unless it is told not to.
ENV ORT_DISABLE_TELEMETRY=1
WORKDIR /opt/recserve
# The process lives and answers. Whether it also reaches the broker is in its retained status.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['RECSERVE_METRICS__PORT'] + '/metrics', timeout=4)"]
USER 10001:10001


FROM agent AS device
COPY --from=program /opt/venv /opt/venv
COPY configs/device.yaml configs/
COPY models/bundles/sentiment-device/ models/bundles/sentiment-device/
CMD ["python", "-m", "device_agent", "--config", "configs/device.yaml"]


FROM agent AS edge
COPY --from=program /opt/venv /opt/venv
COPY configs/edge.yaml configs/
COPY models/bundles/sentiment-edge/ models/bundles/sentiment-edge/
CMD ["python", "-m", "edge_agent", "--config", "configs/edge.yaml"]


FROM agent AS cloud
ENV HF_HOME=/var/lib/recserve/huggingface HF_HUB_DISABLE_TELEMETRY=1
COPY --from=program-torch /opt/venv /opt/venv
COPY configs/cloud.yaml configs/cloud-transformers.yaml configs/cloud-openai.yaml configs/
COPY models/bundles/sentiment-cloud/ models/bundles/sentiment-cloud/
CMD ["python", "-m", "cloud_agent", "--config", "configs/cloud.yaml"]
