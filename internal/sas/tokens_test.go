package sas

const (
	knownEncoded = "SharedAccessSignature sr=localhost%2Fdevices%2Fd1&sig=kGe8oDcTxvxPjmQyIvDuChDToTFOqjmspa1WRd18I%2Fc%3D&se=1900000000"
	knownPlain   = "SharedAccessSignature sr=localhost/devices/d1&sig=haPS9PsizS1koYT1aP24gXZNDVaVE%2BheRl2SxPtBLc8%3D&se=1900000000"
	knownLower   = "sharedaccesssignature se=1900000000&sig=nGaOyyMs6Na29JL%2FG0TYIg8KbDeH6pPITQaC8i0vTvA%3D&sr=foreign.azure-devices.net%2fdevices%2fd1%2fmodules%2fm1"
)
