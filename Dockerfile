# One static binary in an empty image. The repository does not go to the builder, so what `signet
# version` says is told: --build-arg VERSION=v1.2.3 --build-arg COMMIT=$(git rev-parse HEAD) --build-arg
# COMMIT_TIME=$(git show -s --format=%cI). --build-arg GO_IMAGE=… names another builder, by digest say.
ARG GO_IMAGE=golang:1.26.8-bookworm

FROM ${GO_IMAGE} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# No C library: the result runs anywhere. The build is reproducible for one
# source and one Go version (-trimpath; no time of build is put in).
ARG VERSION
ARG COMMIT
ARG COMMIT_TIME
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION} -X main.commit=${COMMIT} -X main.commitTime=${COMMIT_TIME}" -o /out/signet ./cmd/signet
# Folders cannot be made in an empty image: the one for data is made here, private to the
# user below, so that a fresh volume mounted over it takes its owner and mode.
RUN mkdir -m 0700 /out/data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/signet /usr/local/bin/signet
COPY --from=build --chown=65532:65532 /out/data /data

ENV PATH=/usr/local/bin \
    SIGNET_LISTEN=0.0.0.0:8080 \
    SIGNET_ISSUER=http://localhost:8080 \
    SIGNET_DATA_DIR=/data
# The embedded database and its key-encryption key; not used with PostgreSQL.
VOLUME /data
EXPOSE 8080
USER 65532:65532
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 CMD ["signet", "healthcheck"]
ENTRYPOINT ["signet"]
CMD ["serve"]
