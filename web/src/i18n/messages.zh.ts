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

export const MESSAGES: Message[] = [...VERDICTS, ...ENVELOPE, ...QUALITY, ...FILES];
