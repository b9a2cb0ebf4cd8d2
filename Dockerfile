# The program in an image, for one run or for a worker:
#
#     docker build --tag resnext-pipeline .
#     docker run --rm -v /srv/images:/opt/project/data:ro -v artifacts:/opt/project/artifacts \
#         resnext-pipeline python flows/full_pipeline.py --data data
#     docker run --rm -e PREFECT_API_URL=http://HOST:4200/api -v ... \
#         resnext-pipeline prefect worker start --pool local
#
# For a GPU add `--gpus all`. torch brings what it needs of CUDA.
FROM python:3.13-slim

# Fixed ids, so that whoever shares a folder with the container knows its owner.
RUN groupadd --gid 1000 app && useradd --uid 1000 --gid app --create-home app

WORKDIR /opt/project

# torch is large and changes seldom: the dependencies are a layer of their own.
COPY pyproject.toml README.md LICENSE ./
RUN mkdir flows tasks resnext reports && pip install --no-cache-dir --editable .

COPY . .
RUN install --directory --owner=app --group=app artifacts

USER 1000:1000
ENV PREFECT_SERVER_ANALYTICS_ENABLED=false PYTHONDONTWRITEBYTECODE=1
VOLUME /opt/project/artifacts
CMD ["python", "flows/full_pipeline.py"]
