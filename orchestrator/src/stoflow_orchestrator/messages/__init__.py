"""Pure conversions between table rows and messages of the contract."""
