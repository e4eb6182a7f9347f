"""The wire: protobuf and JSON to and from core types. Only this package imports the generated code."""
