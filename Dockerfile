# Parley in a container; docs/operations.md says how to run it. Its root can be read-only: it
# writes to the three volumes only, as a user who is not root.
#
#	docker build --build-arg VERSION=v1.2.3 --build-arg COMMIT=$(git rev-parse HEAD) -t parley .
FROM golang:1.26.8-bookworm AS build
ENV GOTOOLCHAIN=local
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION
ARG COMMIT
RUN VERSION=$VERSION COMMIT=$COMMIT packaging/build /out binary

# The same Debian as above: the binary needs the C library that it was built with, or a newer one.
FROM debian:12.11-slim
# Whom webhooks' receivers are vouched for by.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/parley /usr/bin/parley
# By number, so that whoever runs it can see that it is not root. New volumes get these owners
# and modes, too.
RUN install -d -o 10001 -g 10001 -m 0700 /etc/parley /var/lib/parley /var/lib/parley-keys
USER 10001:10001
VOLUME ["/etc/parley", "/var/lib/parley", "/var/lib/parley-keys"]
WORKDIR /var/lib/parley
EXPOSE 5222 5223 8443
STOPSIGNAL SIGTERM
# By what the server answers at its own ports, as its clients would ask.
HEALTHCHECK --start-period=2m CMD ["/usr/bin/parley", "probe"]
CMD ["/usr/bin/parley", "serve"]
