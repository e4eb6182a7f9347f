"""The wire formats: converts core types to and from protobuf and JSON. Only this package imports generated code."""
