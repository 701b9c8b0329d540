/** The server's sentences: pattern, what a warning of that kind is about, and its Chinese. */

export interface Message {
  pattern: RegExp;
  kind: "envelope" | "quality" | "file";
  zh: string;
}

const envelope = (pattern: RegExp, zh: string): Message => ({ pattern, kind: "envelope", zh });
const quality = (pattern: RegExp, zh: string): Message => ({ pattern, kind: "quality", zh });
const file = (pattern: RegExp, zh: string): Message => ({ pattern, kind: "file", zh });

/** Why a probability is called what it is called: tomos/inference/verdict.py. */
const VERDICTS = [
  file(/^the probability of (.+), ([\d.]+), is too near to the threshold ([\d.]+) to decide \(between ([\d.]+) and ([\d.]+)\)$/,
    "“$1”的概率为 $2，与阈值 $3 过于接近，无法判定（$4 至 $5 之间转交医师）"),
  file(/^(.+) ([\d.]+), at or above the threshold ([\d.]+)$/, "“$1”的概率 $2，达到阈值 $3"),
  file(/^(.+) ([\d.]+), below the threshold ([\d.]+)$/, "“$1”的概率 $2，低于阈值 $3"),
  file(/^(.+) ([\d.]+) is the most probable$/, "“$1”的概率最高，为 $2"),
  file(/^no class reaches its threshold$/, "没有类别达到阈值"),
];

/** What is said of a mask: tomos/inference/masks.py. */
const MASKS = [
  file(/^(.+): the network is unsure of its extent: ([\d.e+-]+) (\S+) were outlined, ([\d.e+-]+) (\S+) expected$/,
    "“$1”的范围没有把握：勾画 $2 $3，预期 $4 $5"),
  file(/^mm2$/, "mm²"),
  file(/^voxels$/, "像素"),
  file(/^nothing of (.+)$/, "没有勾画出 $1"),
  file(/^expected (\d+) channel\(s\) and (\d+) axes for this model, got (\d+) and (\d+)$/,
    "该模型需要 $1 个通道、$2 维的图像，而此图像为 $3 个通道、$4 维"),
  file(/^an image of (.+) does not fit into the memory of this server$/, "服务器内存不足，无法读取 $1 的图像"),
  file(/^expected ([\d.]+ \w+) of free memory .*, got ([\d.]+ \w+)\. End other programs.*$/,
    "服务器内存不足：需要 $1，可用 $2"),
  file(/^a tile of .+ does not fit into memory; ([\d.]+ \w+) are free.*$/, "服务器内存不足：可用 $1"),
  file(/^(?:not enough memory to prepare it|the memory ran out even with small steps.*)$/, "服务器内存不足"),
  file(/^(.+): gone through one tile at a time$/, "$1：逐块读取"),
  file(/^(.+): gone through in tiles of (.+) in place of (.+); the network saw less at once.*$/,
    "$1：以 $2（而非 $3）的小块读取，网络一次看到的范围较小，勾画结果可能与内存充足时不同"),
  file(/^(.+): gone through in tiles of (.+) in place of (.+)$/, "$1：以 $2（而非 $3）的小块读取"),
  file(/^([\d.]+ \w+) of memory would be needed, ([\d.]+ \w+) are free$/, "需要 $1 内存，可用 $2"),
  file(/^the memory ran out$/, "内存不足"),
  file(/^its axes are not at right angles \(down to ([\d.]+) degrees.*$/, "各轴不垂直（最小 $1 度）：已为网络插值到直角网格，分割仍位于原图像上"),
  file(/^no such result: results are kept for ([\d.]+) minutes at most; send the image again$/,
    "结果已不再保留（最多保留 $1 分钟），请重新发送图像"),
  file(/^cannot be written for .+: its frames do not each say where they lie$/, "无法写入：各帧未注明位置"),
  file(/^cannot be written for .+: its header lacks or contradicts what a segmentation must say.*$/,
    "无法写入：文件头缺少分割对象所必需的内容，或自相矛盾"),
];

/** Series and zip files: tomos/serve/member.py, tomos/serve/unpack.py. */
const SERIES = [
  file(/^none of these files is a DICOM image.*$/, "这些文件都不是 DICOM 图像；同时发送的多个文件视为一个 DICOM 序列"),
  file(/^a zip of (\d+) files and (\d+) MB; at most (\d+) files and (\d+) MB are taken out$/,
    "压缩包含 $1 个文件，共 $2 MB，超过上限（$3 个文件、$4 MB）"),
  file(/^a zip without files in it$/, "压缩包中没有文件"),
  file(/^this model reads (\d+) images a case: (.+?); got (\d+).*$/,
    "该模型每个病例读取 $1 幅图像（$2），收到 $3 幅；请通过接口按名称分别发送"),
  file(/^image (\d+) of (\d+): put on the grid of the first by linear interpolation \((.+) to (.+) mm\)(?:; ([\d.]+%) of that grid lies outside of it and has its lowest value)?$/,
    "第 $1 幅图像（共 $2 幅）：已线性插值到第一幅的网格（$3 至 $4 mm）"),
  file(/^not a whole zip file.*$/, "压缩包不完整，请重新打包"),
  file(/^its members overlap.*$/, "压缩包中的文件相互重叠，不予读取"),
  file(/^encrypted, or packed in another way than by deflate$/, "压缩包已加密，或使用了不支持的压缩方式"),
];

/** What the model was made for, and how this image differs: tomos/inference/envelope.py. */
const ENVELOPE = [
  envelope(/^modality (.+); the model was made for (.+)$/, "该图像的模态为 $1，而模型适用于 $2"),
  envelope(/^body part (.+); the model was made for (.+)$/, "该图像的部位为 $1，而模型适用于 $2"),
  envelope(/^a picture in colour; the model was made for .+$/, "这是彩色图像，而模型适用于灰度图像"),
  envelope(/^a picture in grey; the model was made for .+$/, "这是灰度图像，而模型适用于彩色图像"),
  envelope(/^unlike the pictures the model was made for \(([\d.]+) times the distance that is usual at most\): (.+)$/,
    "与模型所适用的图像不同（差异为通常上限的 $1 倍）：$2"),
  envelope(/^too small: (\d+) x (\d+) pixels, training pictures had sides of (\d+) to (\d+)$/,
    "图像过小：$1 × $2 像素，训练图像的边长为 $3 至 $4"),
  envelope(/^much larger than usual: (\d+) x (\d+) pixels, training pictures had sides of (\d+) to (\d+)$/,
    "图像远大于通常尺寸：$1 × $2 像素，训练图像的边长为 $3 至 $4"),
  envelope(/^its (length|depth|height|width) is (\d+) (mm|pixels); the model was made for (\d+) to (\d+)$/,
    "该图像的$1为 $2 $3，而模型适用于 $4 至 $5 $3"),
  envelope(/^along its (length|depth|height|width) its (?:voxels|pixels) are (\S+) mm apart; the model was made for (\S+) mm at most$/,
    "沿$1方向的间距为 $2 mm，而模型最多适用于 $3 mm"),
  file(/^length$/, "上下长度"),
  file(/^depth$/, "前后深度"),
  file(/^height$/, "高度"),
  file(/^width$/, "宽度"),
  file(/^pixels$/, "像素"),
  envelope(/^the model was made for images of a known size in mm$/, "模型适用于已知毫米尺寸的图像"),
  envelope(/^the model was made for images of no known size in mm$/, "模型适用于未注明毫米尺寸的图像"),
  envelope(/^its width is ([\d.]+) times its height, usually ([\d.]+) to ([\d.]+)$/,
    "图像宽高比为 $1，通常为 $2 至 $3"),
  quality(/^the picture is empty: every pixel has the same value$/, "图像为空：所有像素的值相同"),
  quality(/^bright and dark lie elsewhere$/, "明暗分布的位置不同"),
  quality(/^edges lie elsewhere$/, "边缘的位置不同"),
  quality(/^its grain is another$/, "纹理颗粒不同"),
  quality(/^its grey values spread differently$/, "灰度值的分布不同"),
  quality(/^the network sees in it what it never saw in training$/, "网络从中看到训练时未见过的内容"),
];

/** What is worse about this image than about the training images: tomos/inference/quality.py. */
const QUALITY = [
  quality(/^blurred: ([\d.]+) on a scale from 0 \(sharp\) to 1, usually ([\d.]+) to ([\d.]+)$/,
    "图像模糊：模糊度为 $1（0 为清晰，1 为最模糊），通常为 $2 至 $3"),
  quality(/^noisy: the noise is ([\d.]+%) of the spread of the grey values, usually ([\d.]+%) to ([\d.]+%)$/,
    "噪声偏大：噪声为灰度标准差的 $1，通常为 $2 至 $3"),
  quality(/^dark parts are cut off: ([\d.]+%) of the pixels have the lowest value, usually ([\d.]+%) to ([\d.]+%)$/,
    "暗部被截断：$1 的像素处于最低值，通常为 $2 至 $3"),
  quality(/^bright parts are cut off: ([\d.]+%) of the pixels have the highest value, usually ([\d.]+%) to ([\d.]+%)$/,
    "亮部被截断：$1 的像素处于最高值，通常为 $2 至 $3"),
  quality(/^little contrast: the grey values span ([\d.]+%) of their range, usually ([\d.]+%) to ([\d.]+%)$/,
    "对比度偏低：灰度值只占其范围的 $1，通常为 $2 至 $3"),
];

/** What a file's reader noticed or refused: tomos/formats. */
const FILES = [
  file(/^its header names no transfer syntax.*$/, "文件头未注明传输语法，已据首个数据元素判断"),
  file(/^it is not written in the transfer syntax that its header names$/, "文件的实际编码与文件头所注明的传输语法不符"),
  file(/^no preamble: .*$/, "缺少 DICOM 文件前导，已按裸数据集读取"),
  file(/^its compressed pixels have no end mark$/, "压缩像素缺少结束标记"),
  file(/^(\S+) is written without its value representation$/, "数据元素 $1 缺少值表示（VR）"),
  file(/^(\S+) has the unknown value representation (.*)$/, "数据元素 $1 的值表示（VR）“$2”未知"),
  file(/^neither sform nor qform is set.*$/, "未设置 sform 或 qform，图像在患者体内的位置未知"),
  file(/^expected DICOM, NIfTI.*none of them$/, "不是可读取的图像：支持 DICOM、NIfTI、NRRD、MetaImage、PNG、JPEG、TIFF、BMP、GIF 和 npz"),
  file(/^the file is empty.*$/, "文件是空的，请从来源重新复制"),
  file(/^MONOCHROME1 \(larger is darker\): inverted.*$/, "MONOCHROME1（数值越大越暗）：已反相，使数值越大越亮"),
  file(/^MONOCHROME1 \(larger is darker\) in (.+): the values are kept as measured$/,
    "MONOCHROME1（数值越大越暗），单位为 $1：保留测量值"),
  file(/^an animation: this is its first frame.*$/, "这是动画，显示的是第一帧"),
  file(/^(\d+) pages stacked along Z; their distance is not known$/, "共 $1 页，按 Z 方向堆叠，层间距未知"),
  file(/^converted from (.+) to RGB$/, "已由 $1 转换为 RGB"),
  file(/^transparent pixels were laid on black$/, "透明像素已置于黑色背景上"),
  file(/^turned upright as EXIF orientation (.+) says$/, "已按 EXIF 方向（$1）转正"),
  file(/^its frames are scaled differently$/, "各帧的灰度换算不同"),
  file(/^place in the patient unknown: .*$/, "图像在患者体内的位置未知"),
  file(/^(\d+) frames that are no volume, stacked in their order; .*$/, "$1 帧不构成体数据，按原顺序堆叠"),
  file(/^a volume of (\d+) slices, and this model reads single pictures: choose a slice$/,
    "这是 $1 层的体数据，而该模型读取单幅图像，请选择一层"),
  file(/^expected an image from 0 to (\d+), got (\d+)$/, "文件中没有第 $2 幅图像（最大为 $1）"),
  file(/^an archive of something else than NIfTI.*$/, "这是压缩包，请先解压"),
  file(/^not a whole picture.*$/, "图像不完整，请重新复制该文件"),
  file(/^cut short.*$/, "文件被截断，请重新复制"),
  file(/^no image: (.*)$/, "此 DICOM 文件不含图像：$1"),
  file(/^expected a scan or a picture, got a segmentation.*$/, "这是 DICOM 分割对象，不是图像；请提供勾画时所用的图像"),
  file(/^expected a scan or a picture, got a set of contours.*$/, "这是放疗轮廓，不是图像；请提供勾画轮廓时所用的图像"),
  file(/^expected a scan or a picture, got a structured report.*$/, "这是结构化报告，不是图像；请提供其所描述的图像"),
  file(/^expected a scan or a picture, got .*$/, "此 DICOM 文件不是图像；请提供其所属的图像"),
  file(/^of a mask no heat map is drawn here: .*$/, "此处不绘制分割的热力图：逐块遮挡影像需要数分钟；可用 tomos explain 命令绘制轮廓评分所依据的区域"),
  file(/^the model called no class whose probability could be explained$/, "模型没有给出可供解释其概率的类别"),
  file(/^its compress(?:ion is|ed pixels are) damaged.*$/, "压缩数据已损坏，请重新复制该文件"),
  file(/^([\d.]+) MiB, more than the ([\d.]+) MiB that are read from one file.*$/, "文件为 $1 MB，超过可读取的上限 $2 MB"),
  file(/^the header declares .* are read\. Raise Limits.*$/, "文件头所声明的尺寸超过可读取的上限"),
  file(/^(\d+) x (\d+) pixels in a file of (\d+) bytes is more than any compression gives.*$/,
    "$3 字节的文件不可能含有 $1 × $2 像素，文件已损坏或为恶意文件"),
  file(/^transfer syntax (.+) is not read here.*$/, "不支持传输语法 $1"),
  file(/^the body is larger than the (.+) this server accepts.*$/, "文件超过了本服务器允许的 $1"),
  file(/^the body holds no file.*$/, "未收到文件"),
  file(/^the upload stalled.*$/, "上传中断，请重新发送"),
  file(/^the server is busy.*$/, "服务器繁忙，请稍后再试"),
  file(/^no answer within ([\d.]+) s.*$/, "$1 秒内没有得到结果，请重试"),
];

export const MESSAGES: Message[] = [...VERDICTS, ...MASKS, ...SERIES, ...ENVELOPE, ...QUALITY, ...FILES];
