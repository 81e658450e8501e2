.PHONY: build test
build:
	CGO_ENABLED=0 go build -trimpath -o bin/ ./producer ./mirror ./gateway
test:
	go test ./...
