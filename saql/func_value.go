package saql

// coalesce is COALESCE(a, b, …): the first that is not NULL.
func coalesce(args []Value) (Value, error) {
	for _, a := range args {
		if a.kind != KindNull {
			return a, nil
		}
	}
	return Null, nil
}

// nullIf is NULLIF(a, b): NULL if a = b, else a.
func nullIf(args []Value) (Value, error) {
	eq, err := Eq(args[0], args[1])
	if err != nil || eq.Bit() {
		return Null, err
	}
	return args[0], nil
}

// getType is GetType(x): the name of x's type, NULL of NULL.
func getType(args []Value) (Value, error) { return String(args[0].kind.String()), nil }

// getArrayElement is GetArrayElement(array, index): from 0, NULL outside.
func getArrayElement(args []Value) (Value, error) {
	a, i := args[0].Array(), args[1].Bigint()
	if i < 0 || i >= int64(len(a)) {
		return Null, nil
	}
	return a[i], nil
}

// getArrayLength is GetArrayLength(array).
func getArrayLength(args []Value) (Value, error) { return Bigint(int64(len(args[0].Array()))), nil }

// getRecordPropertyValue is GetRecordPropertyValue(record, name), NULL if there
// is no such property.
func getRecordPropertyValue(args []Value) (Value, error) {
	return args[0].Record().Get(args[1].Str()), nil
}

// jsonParse is JSON_PARSE(s): the record that an object's text is, NULL of
// anything else. It never fails.
func jsonParse(args []Value) (Value, error) {
	if args[0].kind != KindString {
		return Null, nil
	}
	v, err := parseRecord(args[0].Str())
	if err != nil {
		return Null, nil
	}
	return v, nil
}
