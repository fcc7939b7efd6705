# Enhances archives inside a container: see docs/install.md.
FROM python:3.12-slim AS build

# The build of torch: https://download.pytorch.org/whl/cpu, or .../whl/cu128 for NVIDIA GPUs.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

WORKDIR /source
RUN python -m venv /opt/magenet
COPY pyproject.toml README.md LICENSE ./
COPY magenet_batch ./magenet_batch
COPY recipes ./recipes
RUN /opt/magenet/bin/pip install --no-cache-dir --extra-index-url "${TORCH_INDEX}" .

FROM python:3.12-slim

RUN useradd --create-home --uid 1000 magenet
COPY --from=build /opt/magenet /opt/magenet
ENV PATH=/opt/magenet/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    RAY_USAGE_STATS_ENABLED=0 \
    HOME=/tmp USER=magenet
USER 1000
WORKDIR /work
ENTRYPOINT ["magenet"]
CMD ["--help"]
