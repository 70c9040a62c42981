package ike

// DHGroup is a Diffie-Hellman group or another key exchange method: transform
// type 4 of IKEv2, group description of IKEv1. Both share their numbers.
type DHGroup uint16

// Groups that RFC 8247 speaks of, and those in common use.
const (
	GroupNone         DHGroup = 0
	GroupMODP768      DHGroup = 1
	GroupMODP1024     DHGroup = 2
	GroupMODP1536     DHGroup = 5
	GroupMODP2048     DHGroup = 14
	GroupMODP3072     DHGroup = 15
	GroupMODP4096     DHGroup = 16
	GroupMODP6144     DHGroup = 17
	GroupMODP8192     DHGroup = 18
	GroupECP256       DHGroup = 19
	GroupECP384       DHGroup = 20
	GroupECP521       DHGroup = 21
	GroupMODP1024S160 DHGroup = 22
	GroupMODP2048S224 DHGroup = 23
	GroupMODP2048S256 DHGroup = 24
	GroupCurve25519   DHGroup = 31
	GroupCurve448     DHGroup = 32
	GroupMLKEM512     DHGroup = 35
	GroupMLKEM768     DHGroup = 36
	GroupMLKEM1024    DHGroup = 37
)

type groupInfo struct {
	short, name string
	keLen       int // of the KE data in bytes; 0 where it is not fixed or not known
}

var groups = map[DHGroup]groupInfo{
	0:  {"NONE", "NONE", 0},
	1:  {"MODP_768", "768-bit MODP Group", 96},
	2:  {"MODP_1024", "1024-bit MODP Group", 128},
	3:  {"EC2N_155", "EC2N group on GP[2^155]", 0},
	4:  {"EC2N_185", "EC2N group on GP[2^185]", 0},
	5:  {"MODP_1536", "1536-bit MODP Group", 192},
	14: {"MODP_2048", "2048-bit MODP Group", 256},
	15: {"MODP_3072", "3072-bit MODP Group", 384},
	16: {"MODP_4096", "4096-bit MODP Group", 512},
	17: {"MODP_6144", "6144-bit MODP Group", 768},
	18: {"MODP_8192", "8192-bit MODP Group", 1024},
	19: {"ECP_256", "256-bit random ECP group", 64},
	20: {"ECP_384", "384-bit random ECP group", 96},
	21: {"ECP_521", "521-bit random ECP group", 132},
	22: {"MODP_1024_160", "1024-bit MODP Group with 160-bit Prime Order Subgroup", 128},
	23: {"MODP_2048_224", "2048-bit MODP Group with 224-bit Prime Order Subgroup", 256},
	24: {"MODP_2048_256", "2048-bit MODP Group with 256-bit Prime Order Subgroup", 256},
	25: {"ECP_192", "192-bit Random ECP Group", 48},
	26: {"ECP_224", "224-bit Random ECP Group", 56},
	27: {"ECP_224_BP", "brainpoolP224r1", 56},
	28: {"ECP_256_BP", "brainpoolP256r1", 64},
	29: {"ECP_384_BP", "brainpoolP384r1", 96},
	30: {"ECP_512_BP", "brainpoolP512r1", 128},
	31: {"CURVE_25519", "Curve25519", 32},
	32: {"CURVE_448", "Curve448", 56},
	33: {"GOST3410_2012_256", "GOST3410_2012_256", 64},
	34: {"GOST3410_2012_512", "GOST3410_2012_512", 128},
	35: {"ML_KEM_512", "ml-kem-512", 0},
	36: {"ML_KEM_768", "ml-kem-768", 0},
	37: {"ML_KEM_1024", "ml-kem-1024", 0},
}

// String gives the name that configuration files use: "MODP_2048", "ECP_256".
func (g DHGroup) String() string {
	if i, ok := groups[g]; ok {
		return i.short
	}
	return named(map[DHGroup]string{}, g, "group")
}

// Name gives the registry's name: "2048-bit MODP Group".
func (g DHGroup) Name() string {
	if i, ok := groups[g]; ok {
		return i.name
	}
	return g.String()
}

// KELength gives the length of the group's public value; 0 where it is not
// known or differs between the two sides.
func (g DHGroup) KELength() int { return groups[g].keLen }
