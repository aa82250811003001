# One static binary in an empty image. The repository does not go to the builder, so what `signet
# version` says is told: --build-arg VERSION=v1.2.3 --build-arg COMMIT=$(git rev-parse HEAD) --build-arg
# COMMIT_TIME=$(git show -s --format=%cI). --build-arg GO_IMAGE=… names another builder, by digest say.
# --target openssl makes the image whose RSA signatures are OpenSSL's, which are faster
# (docs/decisions/faster-rsa.md). Its binary is static as well, and the image as empty.
ARG GO_IMAGE=golang:1.26.8-bookworm

FROM ${GO_IMAGE} AS source
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# Folders cannot be made in an empty image: the one for data is made here, private to the
# user below, so that a fresh volume mounted over it takes its owner and mode.
RUN mkdir -p /out && mkdir -m 0700 /out/data

# No C library: the result runs anywhere. The build is reproducible for one
# source and one Go version (-trimpath; no time of build is put in).
FROM source AS build
ARG VERSION
ARG COMMIT
ARG COMMIT_TIME
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION} -X main.commit=${COMMIT} -X main.commitTime=${COMMIT_TIME}" -o /out/signet ./cmd/signet

# libcrypto and the builder's C library are linked statically. Names of hosts and of users are looked up by Go's own code
# (netgo, osusergo), as in the other build: the C library would load parts of itself for it while it runs.
FROM source AS build-openssl
RUN apt-get update && apt-get install --yes --no-install-recommends libssl-dev
ARG VERSION
ARG COMMIT
ARG COMMIT_TIME
RUN CGO_ENABLED=1 go build -trimpath -tags openssl,netgo,osusergo -ldflags "-linkmode external -extldflags '-static -Wl,--no-warnings' -s -w -X main.version=${VERSION} -X main.commit=${COMMIT} -X main.commitTime=${COMMIT_TIME}" -o /out/signet ./cmd/signet

FROM scratch AS empty
COPY --from=source /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=source --chown=65532:65532 /out/data /data

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

FROM empty AS openssl
COPY --from=build-openssl /out/signet /usr/local/bin/signet

# The last stage is what is built without --target.
FROM empty
COPY --from=build /out/signet /usr/local/bin/signet
